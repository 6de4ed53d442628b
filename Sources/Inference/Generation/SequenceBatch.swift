/// Sequences that are generated together: each step reads the weights once for all of them.
///
/// Sequences join and leave at any step, and what one gets does not depend on the others. When the memory for keys and
/// values runs out, the sequence that joined last gives its own back and begins again later, with what it has generated;
/// the first one always goes on.
package struct SequenceBatch<B: Backend> {
    private let model: DeepSeekOCR<B>
    private var pool: B.CachePool
    /// Tokens of prompts that a step takes at most.
    private let promptTokens: Int
    /// In the order in which they joined.
    package private(set) var active: [TextSequence<B>] = []
    /// Sequences that wait for memory, the first to go on first.
    package private(set) var waiting: [TextSequence<B>] = []

    /// An empty batch whose keys and values lie in a pool.
    ///
    /// `promptTokens` of prompts are seen in a step at most; nil leaves that to the backend.
    package init(_ model: DeepSeekOCR<B>, pool: B.CachePool, promptTokens: Int? = nil) {
        self.model = model
        self.pool = pool
        self.promptTokens = promptTokens ?? model.backend.promptTokensTogether
    }

    /// How many sequences are not finished.
    package var count: Int { active.count + waiting.count }

    /// Adds a sequence, which must not be finished.
    package mutating func join(_ sequence: TextSequence<B>) { waiting.append(sequence) }

    /// Goes on in another pool: all begin again there, with what they have generated.
    mutating func move(to pool: B.CachePool) {
        self.pool = pool
        waiting = active + waiting
        active = []
        for sequence in waiting { sequence.cache = makeCache() }
    }

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
        let parts = parts()
        // A lone sequence may be cancelled within a step, which takes seconds for a long prompt.
        let first = active[0]
        let isAlone = active.count == 1 && parts[0].count > 1
        let tokens: [Int32]
        do {
            tokens = try model.next(parts, onScores: onScores, isCancelled: isAlone ? first.isCancelled : { false })
        } catch .cancelled {
            // Those that wait for memory were not asked.
            return gone + leave { $0 === first }
        }
        let seconds = (clock.now - started) / .seconds(1)
        let total = parts.reduce(0) { $0 + $1.count }
        for (part, token) in zip(parts, tokens) {
            let share = seconds * Double(part.count) / Double(total)
            let isSeen = model.backend.count(of: part.sequence.cache) == part.sequence.tokensToSee
            part.sequence.append(isSeen ? token : nil, seconds: share)
        }
        gone += leave(\.isFinished)
        return gone
    }

    /// The sequences that take part in the next step, and how many tokens of each: long prompts come in several steps, so
    /// that the others go on.
    private func parts() -> [(sequence: TextSequence<B>, count: Int)] {
        var left = promptTokens
        return active.compactMap { sequence in
            let pending = sequence.tokensToSee - model.backend.count(of: sequence.cache)
            let count = pending == 1 ? 1 : min(pending, left)
            if pending > 1 { left -= count }
            return count > 0 ? (sequence, count) : nil
        }
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
            if model.backend.reserve(active[place].tokensToSee, in: active[place].cache) {
                place += 1
                continue
            }
            let last = active.removeLast()
            last.cache = makeCache()
            waiting.insert(last, at: 0)
        }
        while let next = waiting.first, model.backend.reserve(next.tokensToSee, in: next.cache) {
            active.append(next)
            waiting.removeFirst()
        }
        guard active.isEmpty, let first = waiting.first else { return }
        throw .badRequest(
            "A page with \(first.tokensToSee) tokens needs more memory than there is for keys and values: "
                + "give more with --memory.")
    }
}
