internal import Claiming
internal import Rendering
internal import Shared
internal import SystemPackage

/// Reads leased pages from the archive's files, and sends them through the pipeline.
struct ArchiveReader: LeaseReader {
    let pipeline: PagePipeline
    /// Where this machine has mounted each named root.
    let roots: [String: FilePath]

    func reading(_ lease: Lease, pages: ClosedRange<Int>) async throws(LeaseProblem) -> Reading {
        guard let root = roots[lease.file.root] else {
            throw LeaseProblem(
                reason: "The worker does not know the root '\(lease.file.root)' of this file.", isPermanent: false)
        }
        let file = root.appending(lease.file.path.components)
        let plan = try pipeline.plan(for: lease)
        try await SourceCheck.verify(file, is: lease.sha256, stamp: lease.stamp)
        return Reading(
            pipeline: pipeline, plan: plan,
            session: pipeline.renderer.session(file, pages: pages, pdfDPI: lease.pipeline.pdfDPI))
    }

    /// One document's pages on their way.
    struct Reading: LeaseReading {
        let pipeline: PagePipeline
        let plan: PagePipeline.Plan
        let session: RenderSession

        func next() async -> RenderedPage? { await session.next() }

        func outcome(of page: RenderedPage, isCancelled: @escaping @Sendable () -> Bool) async throws -> PageOutcome {
            try await pipeline.outcome(of: page, plan: plan, isCancelled: isCancelled)
        }

        func cancel() async { await session.cancel() }
    }
}

extension RenderedPage: LeasePage {}
