package import Shared

/// The pages of one lease: which are stored, which are finished, which are still to do.
///
/// Decides what is handed over next.
package struct LeaseLedger {
    /// Pages that are handed over together: those with outcomes, and those that another batch has recorded.
    package struct Batch: Sendable {
        package var outcomes: [PageOutcome]
        package var recordedElsewhere: Set<Int>

        var pageCount: Int { outcomes.count + recordedElsewhere.count }

        /// Whether its first outcome is a failure.
        var isFailure: Bool {
            guard case .failed = outcomes.first?.result else { return false }
            return true
        }
    }

    /// Pages that are not stored yet; nil once all are, or the lease is lost.
    package private(set) var remaining: ClosedRange<Int>?
    private let recordedElsewhere: Set<Int>
    private var finished: [Int: PageOutcome] = [:]

    package init(pages: ClosedRange<Int>, recordedElsewhere: Set<Int>) {
        remaining = pages
        self.recordedElsewhere = recordedElsewhere
    }

    /// Whether a page still has to be recognised.
    package func needs(_ page: Int) -> Bool {
        remaining?.contains(page) == true && !recordedElsewhere.contains(page) && finished[page] == nil
    }

    /// The pages from the first to the last that need work; nil when none does.
    package var span: ClosedRange<Int>? {
        guard let needed = remaining?.filter(needs), let first = needed.first, let last = needed.last else {
            return nil
        }
        return first...last
    }

    package mutating func add(_ outcome: PageOutcome) {
        if needs(outcome.page) { finished[outcome.page] = outcome }
    }

    /// Settles every page that still needs work with one reason.
    package mutating func failRest(reason: String, isPermanent: Bool) {
        for page in remaining.map(Array.init) ?? [] where needs(page) {
            finished[page] = PageOutcome(page: page, result: .failed(reason: reason, isPermanent: isPermanent))
        }
    }

    /// What can be stored now: the settled pages from the first remaining one on, without a gap; nil when there are none.
    package var nextBatch: Batch? { nextBatch(of: .max) }

    /// The first `limit` pages of what can be stored now.
    package func nextBatch(of limit: Int) -> Batch? {
        let settled = (remaining.map(Array.init) ?? [])
            .prefix { finished[$0] != nil || recordedElsewhere.contains($0) }.prefix(limit)
        guard !settled.isEmpty else { return nil }
        return Batch(
            outcomes: settled.compactMap { recordedElsewhere.contains($0) ? nil : finished[$0] },
            recordedElsewhere: recordedElsewhere.intersection(settled))
    }

    /// Notes what the queue said to `nextBatch`.
    package mutating func apply(_ receipt: RecordReceipt) {
        switch receipt {
        case .accepted(let rest): remaining = rest
        case .leaseLost: remaining = nil
        }
    }

    /// Puts another outcome in the place of one that cannot be stored.
    package mutating func replace(_ outcome: PageOutcome) { finished[outcome.page] = outcome }

    /// Forgets what is finished and not stored: nobody knows of which content it is.
    package mutating func dropFinished() { finished = [:] }

    /// Gives the lease up.
    package mutating func abandon() { remaining = nil }
}
