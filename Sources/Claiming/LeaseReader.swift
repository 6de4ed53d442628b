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
    /// What becomes of a page; throws only `CancellationError`, as every other failure is the page's outcome.
    ///
    /// `isCancelled` is to be asked before work on the page begins, and then while it goes on.
    func outcome(of page: Page, isCancelled: @escaping @Sendable () -> Bool) async throws -> PageOutcome
    /// Ends the reading, also before the last page.
    func cancel() async
}

/// A page that was read and is still to be recognised.
package protocol LeasePage: Sendable {
    /// Counted from 1.
    var page: Int { get }
}

/// Why none of a lease's pages can be recognised.
package struct LeaseProblem: Error {
    package let reason: String
    package let isPermanent: Bool

    package init(reason: String, isPermanent: Bool) {
        self.reason = reason
        self.isPermanent = isPermanent
    }
}
