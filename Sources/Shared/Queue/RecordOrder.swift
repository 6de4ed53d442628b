/// One call of `quire.record`.
struct RecordOrder: Sendable {
    /// What the function says.
    enum Verdict: String {
        /// The pages are stored now.
        case recorded
        /// They were stored before, and the worker still holds others of the lease.
        case held
        /// They are not the next ones of the lease.
        case mismatch
        /// The lease was brought to its end before, by this very call if it is repeated.
        case ended
        /// The lease was taken away.
        case lost
    }

    static let sql = """
        SELECT * FROM quire.record(\((1...38).map { "$\($0)" }.joined(separator: ", ")))
        """

    let parameters: [SQLValue]

    /// `handed` is nil where no page is handed over.
    init(_ plan: RecordPlan, handed: ClosedRange<Int>?, lease: Lease, worker: Int64) {
        // In order, so that two batches with the same document do not lock each other out.
        let stored = plan.stored.sorted { $0.page < $1.page }
        let results = stored.map(\.result)
        let (texts, facts) = (results.map(\.text), results.map(\.facts))
        let figures = stored.flatMap { outcome in
            (outcome.result.text?.figures ?? []).map { (page: outcome.page, figure: $0) }
        }
        let (first, last) = (lease.pages.lowerBound, lease.pages.upperBound)
        parameters =
            [
                .int(worker), .int(lease.batchID), .int(lease.jobID), .int(lease.token), .int(lease.documentID),
                .int(first), .int(last), .int(handed?.lowerBound ?? first), .int(handed?.count ?? 0),
                .ints(plan.postponed.map(\.page)), .doubles(plan.postponed.map(\.seconds)), .text(plan.lastError),
                .text(QuireVersion.engine), .ints(stored.map(\.page)), .texts(results.map(\.state.rawValue)),
                .ints(facts.map { $0.map { Int64($0.width) } }), .ints(facts.map { $0.map { Int64($0.height) } }),
                .doubles(facts.map { $0?.dpi }), .doubles(facts.map { $0?.renderSeconds }),
            ] + Self.columns(texts)
            + [
                results.contains { $0.error != nil } ? .texts(results.map(\.error)) : .null,
                figures.isEmpty ? .null : .ints(figures.map(\.page)),
                figures.isEmpty ? .null : .texts(figures.map(\.figure.name)),
                figures.isEmpty ? .null : .byteArrays(figures.map(\.figure.jpeg)),
                .text(QuireVersion.current), .text(lease.pipeline.precision),
                // It can be read again.
                lease.fileFaults != 0 ? .int(lease.fileID) : .null,
            ] + Self.columns(notesOf: stored)
    }

    /// Three columns: a note's page, code and text.
    private static func columns(notesOf outcomes: [PageOutcome]) -> [SQLValue] {
        let notes = outcomes.flatMap { outcome in outcome.notes.map { (page: outcome.page, note: $0) } }
        guard !notes.isEmpty else { return Array(repeating: .null, count: 3) }
        return [.ints(notes.map(\.page)), .texts(notes.map(\.note.code)), .texts(notes.map(\.note.text))]
    }

    /// Nine columns of recognised pages; NULL instead where no page is one.
    private static func columns(_ texts: [RecognisedPage?]) -> [SQLValue] {
        guard texts.contains(where: { $0 != nil }) else { return Array(repeating: .null, count: 9) }
        return [
            .doubles(texts.map { $0?.encodeSeconds }), .doubles(texts.map { $0?.prefillSeconds }),
            .doubles(texts.map { $0?.decodeSeconds }), .ints(texts.map { $0.map { Int64($0.promptTokens) } }),
            .ints(texts.map { $0.map { Int64($0.outputTokens) } }), .bools(texts.map { $0?.reachedEnd }),
            .texts(texts.map { $0?.markdown }), .texts(texts.map { $0?.layoutJSON }), .texts(texts.map { $0?.rawText }),
        ]
    }
}

extension PageOutcome.Result {
    fileprivate var state: PageState {
        switch self {
        case .recognised: .done
        case .blank: .blank
        case .failed: .failed
        }
    }

    fileprivate var text: RecognisedPage? {
        guard case .recognised(let page) = self else { return nil }
        return page
    }

    fileprivate var facts: PageFacts? {
        switch self {
        case .recognised(let page): page.facts
        case .blank(let facts): facts
        case .failed: nil
        }
    }

    fileprivate var error: String? {
        guard case .failed(let reason, _) = self else { return nil }
        return reason
    }
}
