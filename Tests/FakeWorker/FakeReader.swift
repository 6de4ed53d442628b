import ArchiveFiles
import Claiming
import Digest
import Glibc
import Rendering
import Shared
import Synchronization
import SystemPackage

/// Stands in for rendering and recognition: a page takes a few milliseconds, and its text follows from its address.
///
/// With folders the lease's file is opened as the real worker opens it, and the digest in the text is that of the bytes
/// that were read for the page.
struct FakeReader: LeaseReader {
    /// A page at which something happens.
    struct Address: Hashable, Sendable {
        var path: String
        var page: Int
    }

    let pageMilliseconds: Double
    /// Pages that kill the process that works on them.
    let poison: Set<Address>
    /// Pages on which the device fails.
    let deadly: Set<Address>
    /// Nil where files are made up too.
    let folders: ArchiveFolders?
    let machine: FakeMachine
    /// Called where the device answers nothing any more.
    let deviceFailed: @Sendable () async -> Void

    func reading(_ lease: Lease, pages: ClosedRange<Int>) async throws(LeaseProblem) -> Reading {
        if let fault = machine.startFault() { throw fault }
        return Reading(lease, pages: pages, reader: self, file: try await folders?.open(lease))
    }

    /// One range on its way.
    final class Reading: LeaseReading {
        private let lease: Lease
        private let pages: ClosedRange<Int>
        private let nextPage: Mutex<Int>
        private let reader: FakeReader
        private let file: LeasedFile?

        init(_ lease: Lease, pages: ClosedRange<Int>, reader: FakeReader, file: LeasedFile?) {
            self.lease = lease
            self.pages = pages
            nextPage = Mutex(pages.lowerBound)
            self.reader = reader
            self.file = file
        }

        func next() async -> FakePage? {
            let page = nextPage.withLock { page in
                defer { page += 1 }
                return page
            }
            guard pages.contains(page) else { return nil }
            return FakePage(page: page, digest: await digest())
        }

        func outcome(of page: FakePage, isCancelled: @escaping @Sendable () -> Bool) async throws -> PageOutcome {
            guard !isCancelled() else { throw CancellationError() }
            let digest = try page.digest.get()
            let milliseconds = reader.pageMilliseconds * Double.random(in: 0.5...1.5)
            try await Task.sleep(for: .seconds(milliseconds / 1000))
            let address = Address(path: lease.file.path.string, page: page.page)
            if reader.poison.contains(address) { kill(getpid(), SIGKILL) }
            if reader.deadly.contains(address) {
                await reader.deviceFailed()
                throw CancellationError()
            }
            guard !isCancelled() else { throw CancellationError() }
            return PageOutcome(
                page: page.page,
                result: .recognised(Self.result(of: page.page, digest: digest, seconds: milliseconds / 1000)),
                // The ledger's check knows these too.
                notes: page.page % 7 == 0
                    ? [PageNote(RenderNote(.pictureDamaged, "Page \(page.page) is torn."))] : [])
        }

        func verify() async throws(LeaseProblem) { try await file?.verify() }

        func correctedPageCount() async -> Int? { nil }

        func cancel() async { nextPage.withLock { $0 = pages.upperBound + 1 } }

        /// Of the bytes that are there now, as when a page is rendered; and then the file is looked at again.
        private func digest() async -> Result<String, LeaseProblem> {
            if let fault = reader.machine.startFault() { return .failure(fault) }
            guard let source = file?.source else { return .success("\(lease.sha256)") }
            do throws(RenderError) {
                return .success(
                    try await PageRenderer.blocking { () throws(RenderError) in
                        let digest = try SHA256.hash { buffer, offset throws(RenderError) in
                            try source.read(into: buffer, at: offset)
                        }
                        try source.checkUnchanged()
                        return "\(digest)"
                    })
            } catch {
                return .failure(LeaseProblem(error))
            }
        }

        /// The ledger's check makes the same text of the job tables alone.
        private static func result(of page: Int, digest: String, seconds: Double) -> RecognisedPage {
            let text = "Page \(page) of \(digest)"
            return RecognisedPage(
                facts: PageFacts(width: 100, height: 140, dpi: 72, renderSeconds: 0), markdown: text,
                layoutJSON: "[]", rawText: "<raw>\(text)", figures: [], promptTokens: 1, outputTokens: 1,
                reachedEnd: true, encodeSeconds: 0, prefillSeconds: 0, decodeSeconds: seconds)
        }
    }
}

/// A page of which only the number and the bytes matter.
struct FakePage: LeasePage {
    let page: Int
    let digest: Result<String, LeaseProblem>
}
