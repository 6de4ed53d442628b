package import Shared

/// How the pages of a lease become outcomes: in the worker by rendering and recognition.
package protocol LeaseReader: Sendable {
    associatedtype Reading: LeaseReading

    /// Opens the lease's document to read these pages of it.
    func reading(_ lease: Lease, pages: ClosedRange<Int>) async throws(LeaseProblem) -> Reading
}

/// Pages of one lease, read one after the other, while outcomes of several are found at once.
package protocol LeaseReading: Sendable {
    associatedtype Page: LeasePage

    /// The next page; nil after the last.
    func next() async -> Page?
    /// What becomes of a page; throws `CancellationError`, or a `LeaseProblem`.
    ///
    /// `isCancelled` is to be asked before work on the page begins, and then while it goes on.
    func outcome(of page: Page, isCancelled: @escaping @Sendable () -> Bool) async throws -> PageOutcome
    /// Throws unless all that was read up to now belongs to the lease's content: asked before results are handed over.
    func verify() async throws(LeaseProblem)
    /// How many pages the document has after all; nil where it has as many as the lease says, or that is not known yet.
    func correctedPageCount() async -> Int?
    /// Ends the reading, also before the last page.
    func cancel() async
}

/// A page that was read and is still to be recognised.
package protocol LeasePage: Sendable {
    /// Counted from 1.
    var page: Int { get }
}
