import Claiming
import Glibc
import Shared
import Synchronization
import SystemPackage

/// Stands in for rendering and recognition: a page takes a few milliseconds, and its text follows from its address.
struct FakeReader: LeaseReader {
    /// A page that kills the process that works on it.
    struct Poison: Hashable, Sendable {
        var path: String
        var page: Int
    }

    let pageMilliseconds: Double
    let poison: Set<Poison>

    func reading(_ lease: Lease, pages: ClosedRange<Int>) async throws(LeaseProblem) -> Reading {
        Reading(
            digest: "\(lease.sha256)", path: lease.file.path.string, pages: pages, reader: self)
    }

    /// One range on its way.
    final class Reading: LeaseReading {
        private let digest: String
        private let path: String
        private let pages: ClosedRange<Int>
        private let nextPage: Mutex<Int>
        private let reader: FakeReader

        init(digest: String, path: String, pages: ClosedRange<Int>, reader: FakeReader) {
            self.digest = digest
            self.path = path
            self.pages = pages
            nextPage = Mutex(pages.lowerBound)
            self.reader = reader
        }

        func next() async -> FakePage? {
            let page = nextPage.withLock { page in
                defer { page += 1 }
                return page
            }
            return pages.contains(page) ? FakePage(page: page) : nil
        }

        func outcome(of page: FakePage, isCancelled: @escaping @Sendable () -> Bool) async throws -> PageOutcome {
            guard !isCancelled() else { throw CancellationError() }
            let milliseconds = reader.pageMilliseconds * Double.random(in: 0.5...1.5)
            try await Task.sleep(for: .seconds(milliseconds / 1000))
            if reader.poison.contains(Poison(path: path, page: page.page)) { kill(getpid(), SIGKILL) }
            guard !isCancelled() else { throw CancellationError() }
            return PageOutcome(
                page: page.page, result: .recognised(result(of: page.page, seconds: milliseconds / 1000)))
        }

        func cancel() async { nextPage.withLock { $0 = pages.upperBound + 1 } }

        /// The ledger's check makes the same text of the job tables alone.
        private func result(of page: Int, seconds: Double) -> RecognisedPage {
            let text = "Page \(page) of \(digest)"
            return RecognisedPage(
                facts: PageFacts(width: 100, height: 140, dpi: 72, renderSeconds: 0), markdown: text,
                layoutJSON: "[]", rawText: "<raw>\(text)", figures: [], promptTokens: 1, outputTokens: 1,
                reachedEnd: true, encodeSeconds: 0, prefillSeconds: 0, decodeSeconds: seconds)
        }
    }
}

/// A page of which only the number matters.
struct FakePage: LeasePage {
    let page: Int
}
