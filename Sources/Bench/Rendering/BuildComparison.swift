import Rendering

/// Pages drawn by two builds in turn: which of them changed, and how many a minute each draws.
struct BuildComparison {
    let documents: [DocumentFolder.Document]
    let before: PageRenderer
    let now: PageRenderer
    let rounds: Int

    /// What of a page is compared; notes are of the newer build alone.
    private struct Outcome {
        let image: PageImage?
        let state: String
        let notes: [RenderNote]

        init(_ page: RenderedPage) {
            notes = page.notes
            switch page.result {
            case .failure(let error):
                image = nil
                state = "failed (\(error.kind.rawValue): \(error.message.prefix(90)))"
            case .success(let drawn):
                image = drawn
                let hasInk = drawn.bytes.withUnsafeBufferPointer {
                    PageInk.isThere(in: $0, width: drawn.width, height: drawn.height)
                }
                state =
                    hasInk ? "done" : page.notes.contains(where: \.leavesDoubt) ? "failed (nothing drawn)" : "blank"
            }
        }
    }

    func run() async throws {
        var (seconds, pages, noted) = ((before: 0.0, now: 0.0), 0, 0)
        for round in 0..<rounds {
            for document in documents {
                // The builds take turns at being first, so that neither profits from what the other has left in caches.
                let first = round.isMultiple(of: 2)
                var old: (outcomes: [Outcome], seconds: Double) = ([], 0)
                if first { old = await drawn(document, before) }
                let new = await drawn(document, now)
                if !first { old = await drawn(document, before) }
                // A page that one build does not draw costs it nothing.
                if old.outcomes.map(\.state) == new.outcomes.map(\.state) {
                    seconds.before += old.seconds
                    seconds.now += new.seconds
                    pages += new.outcomes.count
                }
                guard round == 0 else { continue }
                noted += new.outcomes.count { !$0.notes.isEmpty }
                for note in document.summary.notes { print("\(document.name): \(note.code.rawValue): \(note.text)") }
                for page in 0..<max(old.outcomes.count, new.outcomes.count) {
                    let pair = (
                        page < old.outcomes.count ? old.outcomes[page] : nil,
                        page < new.outcomes.count ? new.outcomes[page] : nil
                    )
                    for line in Self.changes(pair.0, pair.1) { print("\(document.name), page \(page + 1): \(line)") }
                }
            }
        }
        let rates = (before: Double(pages) / seconds.before * 60, now: Double(pages) / seconds.now * 60)
        print(
            """

            \(pages / max(1, rounds)) pages in documents of which no page changed its state, \(noted) pages noted, \(rounds) rounds.
            Pages a minute: before \(SpeedReport.fixed(rates.before, 0)), now \(SpeedReport.fixed(rates.now, 0)) \
            (\(SpeedReport.fixed((rates.now / rates.before - 1) * 100, 1)) %).
            """)
    }

    /// All pages of a document by one process.
    private func drawn(
        _ document: DocumentFolder.Document, _ renderer: PageRenderer
    ) async -> (outcomes: [Outcome], seconds: Double) {
        let clock = ContinuousClock()
        let session = renderer.session(document.file, pages: 1...document.summary.pageCount)
        var outcomes: [Outcome] = []
        var seconds = 0.0
        while true {
            let start = clock.now
            guard let page = await session.next() else { break }
            seconds += (clock.now - start) / .seconds(1)
            outcomes.append(Outcome(page))
        }
        return (outcomes, seconds)
    }

    private static func changes(_ old: Outcome?, _ new: Outcome?) -> [String] {
        guard let old, let new else { return ["is there in one build only"] }
        var changes: [String] = []
        if old.state != new.state { changes.append("state \(old.state), now \(new.state)") }
        if let one = old.image, let other = new.image {
            if one.width != other.width || one.height != other.height {
                changes.append("size \(one.width) x \(one.height), now \(other.width) x \(other.height)")
            } else if let difference = ReferenceRenderer.difference(one, other), difference > 0 {
                changes.append("pixels differ by \(SpeedReport.fixed(difference, 3)) in the mean")
            }
        }
        return changes + new.notes.map { "noted \($0.code.rawValue): \($0.text)" }
    }
}
