private import Dispatch
private import Synchronization

/// Reads pages with a model on some backend.
protocol PageReading: AnyObject, Sendable {
    /// Hands a page over; it is answered on another thread.
    func read(_ page: PageRequest)
}

/// A page that somebody waits for.
struct PageRequest: Sendable {
    let image: PreparedImage
    let prompt: [Int32]
    let options: GenerationOptions
    let prepareSeconds: Double
    let isCancelled: @Sendable () -> Bool
    let answer: CheckedContinuation<Result<ReadPage, InferenceError>, Never>
}

/// What was generated for a page.
struct ReadPage: Sendable {
    let generation: Generation
    let encodeSeconds: Double
}

/// Decodes many pages together, while the next ones are encoded.
///
/// One thread of its own drives the model: it encodes pages as they come, while there is room, several at a time, and
/// decodes all that it has together. When a GPU's memory runs out, fewer pages are decoded together from then on.
///
/// `@unchecked Sendable`: everything that changes is used on `queue` only or behind a lock.
final class BatchReader<B: Backend>: PageReading, @unchecked Sendable {
    private let model: DeepSeekOCR<B>
    private let queue = DispatchQueue(label: "quire.engine", qos: .userInitiated)
    private let arrivals = Mutex(Arrivals())
    /// Pages that are decoded together at most.
    private var most: Int
    /// Tokens that there is room for.
    private var tokens: Int
    /// Positions of views that are encoded together at most.
    private var positions: Int
    private var batch: SequenceBatch<B>
    private var group: Group?
    /// What is being decoded, by its sequence.
    private var jobs: [ObjectIdentifier: Decoding] = [:]

    /// Pages that nobody has begun with.
    private struct Arrivals {
        var pages: [PageRequest] = []
        var isRunning = false
    }

    /// Pages that are being encoded together.
    private struct Group {
        let pages: [PageRequest]
        let encoding: DeepSeekOCR<B>.Encoding
        let started: ContinuousClock.Instant
    }

    /// What is known of a page when it begins to be decoded.
    private struct Decoding {
        let page: PageRequest
        let encodeSeconds: Double
    }

    /// - Throws: `deviceFailed` where there is not even memory for one page.
    init(_ model: DeepSeekOCR<B>, plan: MemoryPlan) throws(InferenceError) {
        self.model = model
        most = plan.pages
        tokens = plan.tokens
        positions = model.backend.positionsTogether
        batch = SequenceBatch(model, pool: model.makePool(tokens: plan.tokens))
        do {
            try model.backend.check()
        } catch .deviceFailed(_, isMemory: true) {
            try shrink()
        }
    }

    func read(_ page: PageRequest) {
        let mustStart = arrivals.withLock { arrivals in
            arrivals.pages.append(page)
            defer { arrivals.isRunning = true }
            return !arrivals.isRunning
        }
        if mustStart { queue.async { self.run() } }
    }

    // MARK: - On the own thread

    /// Works until there is nothing left.
    private func run() {
        while true {
            do throws(InferenceError) {
                try encode()
                if batch.count > 0 {
                    for sequence in try batch.step() { finish(sequence) }
                } else if group == nil, isDone() {
                    return
                }
            } catch {
                recover(from: error)
            }
        }
    }

    private func isDone() -> Bool {
        arrivals.withLock { arrivals in
            if arrivals.pages.isEmpty { arrivals.isRunning = false }
            return arrivals.pages.isEmpty
        }
    }

    /// Lets pages that are encoded join the batch, and begins with the next ones while there is room.
    private func encode() throws(InferenceError) {
        while true {
            if let group {
                guard batch.count == 0 || model.isDone(group.encoding) else { return }
                try join(group)
                self.group = nil
            }
            let pages = nextPages()
            guard !pages.isEmpty else { return }
            let started = ContinuousClock.now
            do {
                let isCancelled = { pages.allSatisfy { $0.isCancelled() } }
                let encoding = try model.beginEncoding(pages.map(\.image), isCancelled: isCancelled)
                group = Group(pages: pages, encoding: encoding, started: started)
            } catch .cancelled {
                answer(pages, with: .cancelled)
            } catch {
                do throws(InferenceError) {
                    guard case .deviceFailed(_, isMemory: true) = error else { throw error }
                    try makeRoomToEncode(pages)
                    arrivals.withLock { $0.pages.insert(contentsOf: pages, at: 0) }
                } catch {
                    answer(pages, with: error)
                    throw error
                }
            }
        }
    }

    /// Pages that are encoded together: as many as there are, as are worth it, and as there is room for.
    private func nextPages() -> [PageRequest] {
        var pages: [PageRequest] = []
        while batch.count + pages.count < most {
            let next = arrivals.withLock { arrivals -> PageRequest? in
                guard let next = arrivals.pages.first, pages.isEmpty || Self.positions(of: pages + [next]) <= positions
                else { return nil }
                return arrivals.pages.removeFirst()
            }
            guard let next else { break }
            if next.isCancelled() { answer([next], with: .cancelled) } else { pages.append(next) }
        }
        return pages
    }

    /// Lets fewer pages be encoded together, or decoded where it is one already.
    private func makeRoomToEncode(_ pages: [PageRequest]) throws(InferenceError) {
        guard pages.count > 1 else { return try shrink() }
        positions = Self.positions(of: pages) / 2
        try model.backend.releaseMemory()
    }

    private static func positions(of pages: [PageRequest]) -> Int {
        pages.reduce(0) { total, page in
            ([page.image.view] + page.image.tiles).reduce(total) { $0 + $1.side * $1.side / 256 }
        }
    }

    private func join(_ group: Group) throws(InferenceError) {
        let embeddings = try model.finish(group.encoding)
        let share = (ContinuousClock.now - group.started) / .seconds(1) / Double(group.pages.count)
        for (page, embeddings) in zip(group.pages, embeddings) {
            do throws(InferenceError) {
                let sequence = try TextSequence<B>(
                    prompt: page.prompt, images: [embeddings], options: page.options,
                    configuration: model.configuration.decoder, cache: batch.makeCache(),
                    isCancelled: page.isCancelled)
                jobs[ObjectIdentifier(sequence)] = Decoding(page: page, encodeSeconds: page.prepareSeconds + share)
                if sequence.isFinished { finish(sequence) } else { batch.join(sequence) }
            } catch {
                answer([page], with: error)
            }
        }
    }

    private func finish(_ sequence: TextSequence<B>) {
        guard let decoding = jobs.removeValue(forKey: ObjectIdentifier(sequence)) else { return }
        let result: Result<ReadPage, InferenceError> =
            sequence.isFinished
            ? .success(ReadPage(generation: sequence.generation, encodeSeconds: decoding.encodeSeconds))
            : .failure(.cancelled)
        decoding.page.answer.resume(returning: result)
    }

    private func answer(_ pages: [PageRequest], with error: InferenceError) {
        for page in pages { page.answer.resume(returning: .failure(error)) }
    }

    // MARK: - Failures

    /// Goes on with fewer pages where memory ran out; else answers all pages with the error and begins an empty batch.
    private func recover(from error: InferenceError) {
        guard case .deviceFailed(_, isMemory: true) = error else { return fail(error) }
        do throws(InferenceError) {
            try shrink()
        } catch {
            fail(error)
        }
    }

    private func fail(_ error: InferenceError) {
        for decoding in jobs.values { decoding.page.answer.resume(returning: .failure(error)) }
        jobs = [:]
        if let group { answer(group.pages, with: error) }
        group = nil
        batch = SequenceBatch(model, pool: model.makePool(tokens: tokens))
    }

    /// Halves the pages that are decoded together, and the memory for their keys and values until it can be had.
    ///
    /// Sequences begin again with what they have generated.
    private func shrink() throws(InferenceError) {
        let context = model.configuration.decoder.maxPositions
        most = max(1, min(most, batch.count) / 2)
        while true {
            // The old memory goes before the new one comes.
            batch.move(to: model.makePool(tokens: 1))
            try model.backend.releaseMemory()
            guard tokens > context else { break }
            tokens = max(context, tokens / 2)
            batch.move(to: model.makePool(tokens: tokens))
            do {
                return try model.backend.check()
            } catch .deviceFailed(_, isMemory: true) {}
        }
        throw .deviceFailed(reason: "there is no memory for the keys and values of one page", isMemory: true)
    }
}
