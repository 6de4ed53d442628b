/// A matrix of f32 on a backend; what its rows and columns mean is the model's business.
package protocol BackendTensor {
    var rows: Int { get }
    var columns: Int { get }
}

/// What the model is computed with: some twenty operations on matrices that live where the backend wants them.
///
/// Activations are f32 matrices `[rows, columns]`, row-major; images and batches are flattened into rows. A weight is a
/// checkpoint's matrix `[out, in...]` in its own element type; convolutions keep theirs `[out, in, 3, 3]`. Operations
/// wait for nothing but `download`, `argmax` and `contents`, so a backend may queue them. Sizes are the caller's duty: a
/// mismatch is a broken invariant and traps.
package protocol Backend {
    associatedtype Tensor: BackendTensor
    associatedtype Weight
    /// Which experts each row goes to, and with what weights.
    associatedtype Routing
    /// The keys and values of one sequence, for all layers.
    associatedtype Cache

    // MARK: Memory

    /// Takes a matrix as it is; it may go on lying in the checkpoint's mapping.
    func weight(_ tensor: Checkpoint.Tensor) -> Weight
    /// Makes a matrix of f32 from host values; `values.count` is `rows * columns`.
    func upload(_ values: [Float], rows: Int, columns: Int) -> Tensor
    /// All elements, row by row.
    func download(_ tensor: Tensor) -> [Float]

    // MARK: Building matrices

    /// The patches of square views of one size: `[views * grid * grid, 3 * patch * patch]`, columns as (channel, y, x),
    /// bytes u taken as `(u / 255 - 0.5) / 0.5`.
    func patches(of views: [PreparedImage.View], patch: Int) -> Tensor
    /// The rows of a table `[vocabulary, width]`.
    func embed(_ ids: [Int32], table: Weight) -> Tensor
    /// Row `i` of the result is row `indices[i]` of all sources stacked on one another.
    func gatherRows(_ indices: [Int32], from sources: [Tensor]) -> Tensor
    /// The columns of `left`, then those of `right`.
    func joinColumns(_ left: Tensor, _ right: Tensor) -> Tensor
    /// Left multiplication of each of `batches` equal blocks of rows: `[m, k]` times `[batches * k, c]` gives
    /// `[batches * m, c]`.
    func multiply(_ matrix: Tensor, blocksOf tensor: Tensor, batches: Int) -> Tensor
    /// The same numbers with other rows and columns.
    func reshape(_ tensor: Tensor, rows: Int, columns: Int) -> Tensor

    // MARK: Arithmetic

    /// `x w^T + bias`; bias is `[1, out]`.
    func linear(_ x: Tensor, _ weight: Weight, bias: Tensor?) -> Tensor
    /// `sum += x w^T + bias`.
    func addLinear(_ x: Tensor, _ weight: Weight, bias: Tensor?, to sum: inout Tensor)
    /// Adds a matrix again and again down the rows: `sum[r] += tensor[r mod tensor.rows]`.
    func add(_ tensor: Tensor, to sum: inout Tensor)
    /// LayerNorm over each row; weight and bias are `[1, columns]`.
    func layerNorm(_ x: Tensor, weight: Tensor, bias: Tensor, epsilon: Float) -> Tensor
    /// `weight * x / sqrt(mean(x^2) + epsilon)` over each row.
    func rmsNorm(_ x: Tensor, weight: Tensor, epsilon: Float) -> Tensor
    /// GELU, exact.
    func gelu(_ x: inout Tensor)
    /// `x * sigmoid(1.702 x)`.
    func quickGELU(_ x: inout Tensor)
    /// `gate = silu(gate) * up`.
    func siluMultiply(_ gate: inout Tensor, by up: Tensor)
    /// 3 x 3 convolution with a padding of 1 and without bias over `batches` square images, channels last: from
    /// `[batches * side * side, in]` to `[batches * s * s, out]`, `s = (side - 1) / stride + 1`.
    func convolve3x3(_ x: Tensor, _ weight: Weight, batches: Int, side: Int, stride: Int) -> Tensor

    // MARK: Attention

    /// Attention without a mask in each of `batches` equal blocks of rows of `qkv`, `[batches * n, 3 * c]` with columns
    /// as (q k v, head, element). The scale is `1 / sqrt(c / heads)`.
    func attention(_ qkv: Tensor, batches: Int, heads: Int) -> Tensor
    /// SAM's attention over square grids with decomposed relative positions (MODEL.md section 5).
    func gridAttention(_ qkv: Tensor, _ grid: GridAttention<Tensor>) -> Tensor
    /// Turns each head's halves by the angle of its row's position, `start + row` (half-split RoPE).
    func rotate(_ x: inout Tensor, heads: Int, start: Int, theta: Float)
    /// Room for a sequence of at most `capacity` tokens.
    func makeCache(layers: Int, keyValueHeads: Int, headWidth: Int, capacity: Int) -> Cache
    /// How many tokens a layer's cache holds.
    func count(of cache: Cache, layer: Int) -> Int
    /// A layer's keys and values, each `[heads, tokens, width]`.
    func contents(of cache: Cache, layer: Int) -> (keys: [Float], values: [Float])
    /// Appends the keys and values of new tokens to a layer's cache, then attends from each of them to all before it
    /// and itself.
    func causalAttention(
        query: Tensor, key: Tensor, value: Tensor, cache: inout Cache, layer: Int, heads: Int
    ) -> Tensor

    // MARK: Experts

    /// Softmax of `x gate^T` over all experts; the best `count`, ties to the lower index, times `scale`, divided by
    /// their sum before that where `normalised`.
    func route(_ x: Tensor, gate: Weight, count: Int, normalised: Bool, scale: Float) -> Routing
    /// The experts of each row, best first, and their weights, each `[rows, count]`.
    func contents(of routing: Routing) -> (indices: [Int32], weights: [Float])
    /// `sum[r] += sum over r's experts e of weight * down_e(silu(gate_e(x[r])) * up_e(x[r]))`.
    func addExperts(_ x: Tensor, _ routing: Routing, _ experts: [GatedMLP<Weight>], to sum: inout Tensor)

    // MARK: Choice

    /// The column of the largest score of a row, the first on ties, `banned` ones left out.
    func argmax(_ scores: Tensor, row: Int, banned: Set<Int32>) -> Int32
}

/// The three matrices of `down(silu(gate x) * up x)`.
package struct GatedMLP<Weight> {
    package let gate: Weight
    package let up: Weight
    package let down: Weight

    package init(gate: Weight, up: Weight, down: Weight) {
        self.gate = gate
        self.up = up
        self.down = down
    }
}

/// How SAM attends over `batches` grids of `side` x `side` positions.
package struct GridAttention<Tensor> {
    package let batches: Int
    package let side: Int
    package let heads: Int
    /// The side of the windows, which start at the top left; nil attends over the whole grid.
    package let window: Int?
    /// What q, k and v are at positions of a window outside the grid, which are attended to: the bias `[1, 3 * c]`.
    package let padding: Tensor
    /// `[2 * n - 1, c / heads]`, n being the window's or the grid's side; row `q - k + n - 1` for the offset q - k.
    package let relativeHeight: Tensor
    package let relativeWidth: Tensor

    package init(
        batches: Int, side: Int, heads: Int, window: Int?, padding: Tensor, relativeHeight: Tensor,
        relativeWidth: Tensor
    ) {
        self.batches = batches
        self.side = side
        self.heads = heads
        self.window = window
        self.padding = padding
        self.relativeHeight = relativeHeight
        self.relativeWidth = relativeWidth
    }
}
