/// A matrix of f32 on a backend; what its rows and columns mean is the model's business.
package protocol BackendTensor {
    var rows: Int { get }
    var columns: Int { get }
}

/// What the model is computed with: some twenty operations on matrices that live where the backend wants them.
///
/// Activations are f32 matrices `[rows, columns]`, row-major; images and batches are flattened into rows. A weight is a
/// checkpoint's matrix `[out, in...]`, packed as the backend wants it; convolutions keep theirs `[out, in, 3, 3]`.
/// Operations wait for nothing but `download`, `choose`, `tokens` and `contents`, so a backend may queue them, and what
/// goes wrong in one is told by the next `check`. Sizes are the caller's duty: a mismatch is a broken invariant and traps.
package protocol Backend {
    associatedtype Tensor: BackendTensor
    associatedtype Weight
    /// A checkpoint's matrix of which single rows are read.
    associatedtype Table
    /// Which experts each row goes to, and with what weights.
    associatedtype Routing
    /// Memory for the keys and values of all sequences.
    associatedtype CachePool
    /// The keys and values of one sequence, for all layers; a reference.
    associatedtype Cache
    /// New tokens of some sequences, on their way through the decoder.
    associatedtype Step
    /// A layer's routed experts.
    associatedtype Experts
    /// A place in the order of a backend's operations.
    associatedtype Moment

    /// Refuses a model that the backend has no kernels for.
    func check(_ configuration: ModelConfiguration) throws(InferenceError)

    // MARK: Order

    /// The backend for encoding pages beside the steps of others, with weights and memory in common.
    var besideSteps: Self { get }
    /// How many positions of views are worth encoding together: 16 x 16 pixels each.
    var positionsTogether: Int { get }
    /// How many prompt tokens are worth a step's time beside those who generate.
    var promptTokensTogether: Int { get }
    /// The moment when all that was asked for so far is done.
    func moment() -> Moment
    /// Lets what is asked for next wait for a moment of `besideSteps`, or of the backend that it was made from.
    func follow(_ moment: Moment)
    /// Whether a moment has come.
    func hasCome(_ moment: Moment) -> Bool
    /// Gives back memory that is kept for what comes, after waiting for what was asked for.
    func releaseMemory() throws(InferenceError)
    /// Throws what went wrong in operations so far, once.
    func check() throws(InferenceError)

    // MARK: Memory

    /// Takes matrices `[out, in...]` with equally many inputs as one, their outputs one after another.
    ///
    /// `isExact` keeps the elements as they are where the backend rounds other weights.
    func weight(stacking tensors: [Checkpoint.Tensor], isExact: Bool) throws(InferenceError) -> Weight
    /// Takes two equally large matrices for `silu(gate x) * up x`.
    func weight(gate: Checkpoint.Tensor, up: Checkpoint.Tensor) throws(InferenceError) -> Weight
    /// Takes a matrix whose rows are looked up; it may go on lying in the checkpoint's mapping.
    func table(_ tensor: Checkpoint.Tensor) -> Table
    /// Takes a layer's experts, all of one size.
    func experts(_ experts: [GatedMLP<Weight>]) -> Experts
    /// Notes that the model has taken all its weights.
    func finishWeights()
    /// Makes a matrix of f32 from host values; `values.count` is `rows * columns`.
    func upload(_ values: [Float], rows: Int, columns: Int) -> Tensor
    /// All elements, row by row.
    func download(_ tensor: Tensor) -> [Float]

    // MARK: Building matrices

    /// The patches of square views of one size: `[views * grid * grid, 3 * patch * patch]`, columns as (channel, y, x),
    /// bytes u taken as `(u / 255 - 0.5) / 0.5`.
    func patches(of views: [PreparedImage.View], patch: Int) -> Tensor
    /// The rows of a table `[vocabulary, width]`.
    func embed(_ ids: [Int32], table: Table) -> Tensor
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

    /// `x w^T + bias` and a function of it; bias is `[1, out]`.
    func linear(_ x: Tensor, _ weight: Weight, bias: Tensor?, then activation: Activation?) -> Tensor
    /// `x w^T` in f32, where a backend's activations are rounded too.
    func scores(_ x: Tensor, _ weight: Weight) -> Tensor
    /// `sum += x w^T + bias`.
    func addLinear(_ x: Tensor, _ weight: Weight, bias: Tensor?, to sum: inout Tensor)
    /// Adds a matrix again and again down the rows: `sum[r] += tensor[r mod tensor.rows]`.
    func add(_ tensor: Tensor, to sum: inout Tensor)
    /// LayerNorm over each row; weight and bias are `[1, columns]`.
    func layerNorm(_ x: Tensor, weight: Tensor, bias: Tensor, epsilon: Float) -> Tensor
    /// `weight * x / sqrt(mean(x^2) + epsilon)` over each row.
    func rmsNorm(_ x: Tensor, weight: Tensor, epsilon: Float) -> Tensor
    /// `sum += down(silu(gate x) * up x)`.
    func addGated(_ x: Tensor, _ mlp: GatedMLP<Weight>, to sum: inout Tensor)
    /// 3 x 3 convolution with a padding of 1 and without bias over `batches` square images, channels last: from
    /// `[batches * side * side, in]` to `[batches * s * s, out]`, `s = (side - 1) / stride + 1`.
    func convolve3x3(_ x: Tensor, _ weight: Weight, batches: Int, side: Int, stride: Int) -> Tensor

    // MARK: Attention

    /// Attention without a mask in each of `batches` equal blocks of rows of `qkv`, `[batches * n, 3 * c]` with columns
    /// as (q k v, head, element). The scale is `1 / sqrt(c / heads)`.
    func attention(_ qkv: Tensor, batches: Int, heads: Int) -> Tensor
    /// SAM's attention over square grids with decomposed relative positions (MODEL.md section 5).
    func gridAttention(_ qkv: Tensor, _ grid: GridAttention<Tensor>) -> Tensor
    /// Memory for sequences of together at most `tokens` tokens, each of at most `context`, in a backend's own blocks.
    func makePool(layers: Int, keyValueHeads: Int, headWidth: Int, tokens: Int, context: Int) -> CachePool
    /// An empty sequence.
    func makeCache(in pool: CachePool) -> Cache
    /// How many tokens a sequence holds.
    func count(of cache: Cache) -> Int
    /// Makes room for so many tokens in all; false where the pool has too little left.
    func reserve(_ tokens: Int, in cache: Cache) -> Bool
    /// A layer's keys and values, each `[heads, tokens, width]`.
    func contents(of cache: Cache, layer: Int) -> (keys: [Float], values: [Float])
    /// Begins a step: `rows[i]` new tokens of `caches[i]`, in which room was reserved.
    func makeStep(_ input: StepInput<Cache>) -> Step
    /// The step's ids in the table, `[rows, width]`.
    func embed(_ step: Step, table: Table) -> Tensor
    /// Attention from the new tokens of some sequences to all tokens before them and themselves.
    ///
    /// Rows of `qkv`, columns as (q k v, head, element), are those of the step. Queries and keys are turned by the angle of
    /// their position (half-split RoPE), keys and values appended to the caches.
    func causalAttention(_ qkv: Tensor, _ step: Step, _ attention: CausalAttention) -> Tensor
    /// Runs what a step consists of: `embed`, layers and `choose`.
    ///
    /// A backend may note what `body` asks for and repeat it without calling it for steps of the same form, where each
    /// sequence has one new token; `body` therefore depends on nothing but the step.
    func perform(_ step: Step, _ body: () throws(InferenceError) -> Void) throws(InferenceError)

    // MARK: Experts

    /// Softmax of `x gate^T` over all experts; the best `count`, ties to the lower index, times `scale`, divided by
    /// their sum before that where `normalised`.
    func route(_ x: Tensor, gate: Weight, count: Int, normalised: Bool, scale: Float) -> Routing
    /// The experts of each row, best first, and their weights, each `[rows, count]`.
    func contents(of routing: Routing) -> (indices: [Int32], weights: [Float])
    /// `sum[r] += sum over r's experts e of weight * down_e(silu(gate_e(x[r])) * up_e(x[r]))`, then the shared experts'.
    func addExperts(
        _ x: Tensor, _ routing: Routing, _ experts: Experts, shared: GatedMLP<Weight>, to sum: inout Tensor)

    // MARK: Choice

    /// For each row the output of the largest score `x w^T`, the lowest on ties, those in `banned[row]` left out.
    func choose(_ x: Tensor, _ weight: Weight, banned: [[Int32]]) -> [Int32]
    /// Chooses alike for each row of the last tokens of a step's sequences, with the step's bans.
    func choose(_ x: Tensor, _ weight: Weight, for step: Step)
    /// What was chosen for a step's sequences.
    func tokens(of step: Step) -> [Int32]
}

extension Backend {
    /// `x w^T + bias`.
    package func linear(_ x: Tensor, _ weight: Weight, bias: Tensor?) -> Tensor {
        linear(x, weight, bias: bias, then: nil)
    }
}

/// What follows a product.
package enum Activation: Sendable {
    /// GELU, exact.
    case gelu
    /// `x * sigmoid(1.702 x)`.
    case quickGELU
}

/// Which new tokens of which sequences a step takes.
package struct StepInput<Cache> {
    /// How many new tokens each sequence has, one after another.
    package let rows: [Int]
    package let caches: [Cache]
    /// The new tokens; empty where they come as embeddings.
    package let ids: [Int32]
    /// What must not come next, for each sequence; empty where nothing is banned.
    package let bans: [NgramBan?]

    package init(rows: [Int], caches: [Cache], ids: [Int32] = [], bans: [NgramBan?] = []) {
        precondition(rows.count == caches.count, "every row belongs to a sequence")
        precondition(ids.isEmpty || ids.count == rows.reduce(0, +), "there is an id for each row")
        precondition(bans.isEmpty || bans.count == rows.count, "every sequence has its ban")
        self.rows = rows
        self.caches = caches
        self.ids = ids
        self.bans = bans
    }

    /// The place of each sequence's last row.
    var lastRows: [Int32] {
        var last: Int32 = -1
        return rows.map { count in
            last += Int32(count)
            return last
        }
    }
}

/// The matrices of `down(silu(gate x) * up x)`.
package struct GatedMLP<Weight> {
    /// Both in one.
    package let gateUp: Weight
    package let down: Weight

    package init(gateUp: Weight, down: Weight) {
        self.gateUp = gateUp
        self.down = down
    }
}

/// Which of the decoder's attentions is meant.
package struct CausalAttention: Sendable {
    package let layer: Int
    package let heads: Int
    package let keyValueHeads: Int
    /// RoPE's base.
    package let theta: Float

    package init(layer: Int, heads: Int, keyValueHeads: Int, theta: Float) {
        self.layer = layer
        self.heads = heads
        self.keyValueHeads = keyValueHeads
        self.theta = theta
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
