private import Dispatch
import SystemPackage

/// One page of a session: its image, or why there is none.
package struct RenderedPage: Sendable {
    /// Counted from 1.
    package let page: Int
    package let result: Result<PageImage, RenderError>
    /// What is wrong with the page although it was drawn.
    package let notes: [RenderNote]
    /// Time that rendering took.
    package let seconds: Double

    package init(
        page: Int, result: Result<PageImage, RenderError>, notes: [RenderNote] = [], seconds: Double
    ) {
        self.page = page
        self.result = result
        self.notes = notes
        self.seconds = seconds
    }
}

/// A range of pages of one document on their way from `quire-render`, in order.
///
/// The child works one page ahead at most: it then waits for the pipe to be emptied.
package actor RenderSession {
    private nonisolated let work: SessionWork
    /// A disk or share does not answer: nothing more is asked of it.
    private var isGivenUp = false

    init(_ work: SessionWork) {
        self.work = work
    }

    /// How many pages the child says that the document has; nil until it has opened it.
    package nonisolated var pageCount: Int? { work.pageCount }

    /// The next page; nil after the last one, after `cancel` and when the task is cancelled.
    ///
    /// One whose disk or share does not answer is `unanswered`, and the last.
    package func next() async -> RenderedPage? {
        guard !isGivenUp else { return nil }
        let work = work
        return await withTaskCancellationHandler {
            do throws(RenderError) {
                return try await PatientReading.run(on: work.queue, patience: work.patience) {
                    progress throws(RenderError) in work.next(progress)
                }
            } catch {
                isGivenUp = true
                work.cancel()
                return RenderedPage(
                    page: work.page, result: .failure(error), seconds: work.patience / .seconds(1))
            }
        } onCancel: {
            work.cancel()
        }
    }

    /// Kills the child; pages not yet handed out are dropped.
    package func cancel() {
        work.cancel()
    }
}
