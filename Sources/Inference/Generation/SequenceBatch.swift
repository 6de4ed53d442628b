/// Sequences that are generated together: each step reads the weights once for all of them.
///
/// Sequences join and leave at any step, and what one gets does not depend on the others. When the memory for keys and
/// values runs out, the sequence that joined last gives its own back and begins again later, with what it has generated;
/// the first one always goes on.
package struct SequenceBatch<B: Backend> {
    private let model: DeepSeekOCR<B>
    private let pool: B.CachePool
    /// In the order in which they joined.
    package private(set) var active: [TextSequence<B>] = []
    /// Sequences that wait for memory, the first to go on first.
    package private(set) var waiting: [TextSequence<B>] = []

    /// An empty batch whose keys and values lie in a pool.
    package init(_ model: DeepSeekOCR<B>, pool: B.CachePool) {
        self.model = model
        self.pool = pool
    }

    /// How many sequences are not finished.
    package var count: Int { active.count + waiting.count }

    /// Adds a sequence, which must not be finished.
    package mutating func join(_ sequence: TextSequence<B>) { waiting.append(sequence) }

    /// An empty sequence's keys and values.
    package func makeCache() -> B.Cache { model.backend.makeCache(in: pool) }

    /// Generates one token for each sequence that there is memory for.
    ///
    /// - Parameter onScores: called before each choice with all scores of the one sequence there is, banned ones at minus
    ///   infinity.
    /// - Returns: The sequences that are finished or were cancelled, which leave.
    /// - Throws: `badRequest` where images do not fit a prompt, or where one sequence needs more memory than there is.
    package mutating func step(onScores: (([Float]) -> Void)? = nil) throws(InferenceError) -> [TextSequence<B>] {
        var gone = leave { $0.isCancelled() }
        try makeRoom()
        guard !active.isEmpty else { return gone }
        let clock = ContinuousClock()
        let started = clock.now
        var parts: [B.Tensor] = []
        var rows: [Int] = []
        for sequence in active {
            let (count, embeddings) = try sequence.pending(on: model)
            rows.append(count)
            parts.append(embeddings)
        }
        let total = rows.reduce(0, +)
        let embeddings =
            parts.count == 1
            ? parts[0] : model.backend.gatherRows((0..<Int32(total)).map { $0 }, from: parts)
        // A lone sequence may be cancelled within a step, which takes seconds for a long prompt.
        let first = active[0]
        let isCancelled = active.count == 1 ? first.isCancelled : { false }
        let hidden: B.Tensor
        do {
            hidden = try model.advance(
                embeddings, rows: rows, caches: active.map(\.cache), isCancelled: isCancelled)
        } catch .cancelled {
            // Those that wait for memory were not asked.
            return gone + leave { $0 === first }
        }
        let banned = active.map(\.banned)
        if let onScores {
            var values = model.backend.download(model.scores(hidden))
            for id in banned[0] { values[Int(id)] = -.infinity }
            onScores(values)
        }
        let tokens = model.choose(hidden, banned: banned)
        let seconds = (clock.now - started) / .seconds(1)
        for ((sequence, token), count) in zip(zip(active, tokens), rows) {
            sequence.append(token, seconds: seconds * Double(count) / Double(total))
        }
        gone += leave(\.isFinished)
        return gone
    }

    /// Takes out of the batch what a condition holds for, and its memory from it.
    private mutating func leave(_ condition: (TextSequence<B>) -> Bool) -> [TextSequence<B>] {
        let gone = (active + waiting).filter(condition)
        guard !gone.isEmpty else { return [] }
        active.removeAll { sequence in gone.contains { $0 === sequence } }
        waiting.removeAll { sequence in gone.contains { $0 === sequence } }
        for sequence in gone { sequence.cache = makeCache() }
        return gone
    }

    /// Reserves memory for the next step: first for those at work, then for those that wait, in their order.
    private mutating func makeRoom() throws(InferenceError) {
        var place = 0
        while place < active.count {
            if model.backend.reserve(active[place].tokensAfterStep, in: active[place].cache) {
                place += 1
                continue
            }
            let last = active.removeLast()
            last.cache = makeCache()
            waiting.insert(last, at: 0)
        }
        while let next = waiting.first, model.backend.reserve(next.tokensAfterStep, in: next.cache) {
            active.append(next)
            waiting.removeFirst()
        }
        guard active.isEmpty, let first = waiting.first else { return }
        throw .badRequest(
            "A page with \(first.tokensAfterStep) tokens needs more memory than there is for keys and values: "
                + "give more with --memory.")
    }
}
