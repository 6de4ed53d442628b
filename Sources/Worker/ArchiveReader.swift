internal import ArchiveFiles
internal import Claiming
internal import Rendering
internal import Shared
internal import Synchronization

/// Reads leased pages from the archive's files, and sends them through the pipeline.
struct ArchiveReader: LeaseReader {
    let pipeline: PagePipeline
    let folders: ArchiveFolders

    func reading(_ lease: Lease, pages: ClosedRange<Int>) async throws(LeaseProblem) -> Reading {
        let plan = try pipeline.plan(for: lease)
        let file = try await folders.open(lease)
        return Reading(
            pipeline: pipeline, plan: plan, file: file, expectedPages: lease.pageCount,
            session: pipeline.renderer.session(file.source, pages: pages, pdfDPI: lease.pipeline.pdfDPI))
    }

    /// One document's pages on their way.
    final class Reading: LeaseReading {
        private let pipeline: PagePipeline
        private let plan: PagePipeline.Plan
        private let file: LeasedFile
        private let expectedPages: Int
        private let session: RenderSession
        /// Whether the content was read once more, and is right, since a page could not be made of it.
        private let isBlamable = Atomic<Bool>(false)

        init(
            pipeline: PagePipeline, plan: PagePipeline.Plan, file: LeasedFile, expectedPages: Int,
            session: RenderSession
        ) {
            self.pipeline = pipeline
            self.plan = plan
            self.file = file
            self.expectedPages = expectedPages
            self.session = session
        }

        func next() async -> RenderedPage? { await session.next() }

        func outcome(of page: RenderedPage, isCancelled: @escaping @Sendable () -> Bool) async throws -> PageOutcome {
            if case .failure(let error) = page.result { try await blame(error) }
            return try await pipeline.outcome(of: page, plan: plan, isCancelled: isCancelled)
        }

        func verify() async throws(LeaseProblem) { try await file.verify() }

        func correctedPageCount() async -> Int? {
            guard let said = session.pageCount, said != expectedPages else { return nil }
            // The child that said so has drawn pages: one that has seen nothing else decides.
            guard let summary = try? await pipeline.renderer.inspect(file.source), summary.pageCount != expectedPages,
                // It is the content's only where the content is what was read.
                (try? await file.verify()) != nil
            else { return nil }
            return summary.pageCount
        }

        func cancel() async { await session.cancel() }

        /// Throws unless it is the content that is at fault: bytes that cannot be read make damaged pages too.
        private func blame(_ error: RenderError) async throws(LeaseProblem) {
            guard error.fault == .content else { throw LeaseProblem(error) }
            if isBlamable.load(ordering: .relaxed) { return }
            try await file.verifyContent()
            isBlamable.store(true, ordering: .relaxed)
        }
    }
}

extension RenderedPage: LeasePage {}
