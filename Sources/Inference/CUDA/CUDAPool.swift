/// The keys and values of all sequences in pages of 32 tokens, and what is kept from step to step.
package final class CUDAPool {
    /// Tokens of a page (rope.cuh).
    package static let pageTokens = 32

    let layers: Int
    let heads: Int
    let width: Int
    /// The most tokens of a sequence.
    let context: Int
    /// Pages that sequences can have; one more takes what belongs to no sequence.
    let pages: Int
    /// Steps that are repeated, by their form.
    var graphs: [StepForm: CUDAGraph] = [:]
    /// Forms of which a step was run once, so that the heap holds what the next one needs.
    var forms: Set<StepForm> = []
    /// What steps that are repeated compute in: their graphs name its addresses.
    let heap: DeviceHeap
    /// Where the numbers of steps that are repeated lie, and their tokens; nil after a failure.
    let numbers: DeviceMemory?
    /// Keys of all layers, then values: `[layers, pages + 1, heads, tokens of the page, width]`; nil after a failure.
    private let memory: DeviceMemory?
    private var free: [Int32]

    /// Enough for 512 sequences of 8,192 tokens with their last 124 tokens.
    private static let numberBytes = 1 << 20

    init(_ context: CUDAContext, layers: Int, heads: Int, width: Int, tokens: Int, most: Int) {
        self.layers = layers
        self.heads = heads
        self.width = width
        self.context = most
        let pages = max(1, (tokens + Self.pageTokens - 1) / Self.pageTokens)
        let bytes = 2 * layers * (pages + 1) * heads * Self.pageTokens * width * 2
        memory = context.attempt { () throws(InferenceError) in try DeviceMemory(context.device, bytes: bytes) }
        numbers = context.attempt { () throws(InferenceError) in
            try DeviceMemory(context.device, bytes: Self.numberBytes)
        }
        self.pages = pages
        heap = DeviceHeap(context.device, isPermanent: true)
        // The first page is given first.
        free = (0..<Int32(pages)).reversed()
    }

    /// The page of rows that stand for nothing.
    var sparePage: Int32 { Int32(pages) }

    var pageBytes: Int { heads * Self.pageTokens * width * 2 }

    private var layerBytes: Int { (pages + 1) * pageBytes }

    func keys(layer: Int) -> UInt64 { (memory?.address ?? 0) + UInt64(layer * layerBytes) }

    func values(layer: Int) -> UInt64 { keys(layer: layers + layer) }

    func takePages(_ count: Int) -> [Int32]? {
        guard count <= free.count else { return nil }
        let taken = Array(free.suffix(count).reversed())
        free.removeLast(count)
        return taken
    }

    func givePages(_ pages: [Int32]) { free += pages.reversed() }
}

/// The pages of one sequence.
package final class CUDACache {
    let pool: CUDAPool
    private(set) var pages: [Int32] = []
    /// Tokens that the pages hold, or will once the steps that were asked for are done.
    private(set) var count = 0

    init(_ pool: CUDAPool) { self.pool = pool }

    deinit { pool.givePages(pages) }

    func reserve(_ tokens: Int) -> Bool {
        let wanted = (tokens + CUDAPool.pageTokens - 1) / CUDAPool.pageTokens
        guard wanted > pages.count else { return true }
        guard let more = pool.takePages(wanted - pages.count) else { return false }
        pages += more
        return true
    }

    func advance(_ tokens: Int) {
        count += tokens
        precondition(count <= pages.count * CUDAPool.pageTokens, "room for the tokens was reserved")
    }
}
