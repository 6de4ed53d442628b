/// What is wrong with a worker's machine, when it is to be tested again, and what may be claimed until then.
///
/// A decision without a machine: times are given, tests are made elsewhere.
package struct WorkerHealth: Sendable {
    /// A fault and its next test.
    private struct Trouble {
        var reason: String
        var due: ContinuousClock.Instant
        /// Whether it goes on; one that is over counts only for the pause after the next one.
        var isOpen = true
        var pause = Duration.seconds(1)

        /// It was found to go on, or has come back before anything succeeded.
        mutating func goesOn(_ reason: String, now: ContinuousClock.Instant) {
            pause = min(pause * 2, WorkerHealth.longestPause)
            self.reason = reason
            due = now + pause
            isOpen = true
        }
    }

    package static let longestPause = Duration.seconds(30)

    private var machine: Trouble?
    private var batches: [Int64: Trouble] = [:]

    package init() {}

    /// Notes that this machine fails: nothing is claimed until a test says otherwise.
    ///
    /// Returns what is to be logged.
    package mutating func machineFailed(_ reason: String, now: ContinuousClock.Instant) -> String? {
        let before = unwell
        Self.meet(&machine, reason, now: now)
        return change(from: before)
    }

    /// Notes that a batch's files cannot be seen from here: the others go on.
    ///
    /// Returns what is to be logged.
    package mutating func cannotSee(batch: Int64, _ reason: String, now: ContinuousClock.Instant) -> String? {
        let before = unwell
        Self.meet(&batches[batch], reason, now: now)
        return change(from: before)
    }

    /// Notes what a test of the machine said: why it fails, or nil.
    package mutating func tested(_ fault: String?, now: ContinuousClock.Instant) -> String? {
        let before = unwell
        if let fault { machine?.goesOn(fault, now: now) } else { machine?.isOpen = false }
        return change(from: before)
    }

    /// Notes whether a batch's files can be seen again.
    package mutating func tested(batch: Int64, isSeen: Bool, now: ContinuousClock.Instant) -> String? {
        let before = unwell
        if isSeen {
            batches[batch]?.isOpen = false
        } else if let reason = batches[batch]?.reason {
            batches[batch]?.goesOn(reason, now: now)
        }
        return change(from: before)
    }

    /// Notes that a page of this batch was read: what failed before is over, and begins with the shortest pause again.
    package mutating func succeeded(batch: Int64) {
        if machine?.isOpen == false { machine = nil }
        if batches[batch]?.isOpen == false { batches[batch] = nil }
    }

    package var mayClaim: Bool { machine?.isOpen != true }

    /// Batches that are left to others for now.
    package var hiddenBatches: Set<Int64> { Set(batches.filter(\.value.isOpen).keys) }

    /// What to tell the queue; nil where all is well.
    package var unwell: String? {
        let reasons =
            [machine].compactMap { $0 }.filter(\.isOpen)
            + batches.sorted { $0.key < $1.key }.map(\.value)
            .filter(\.isOpen)
        return reasons.isEmpty ? nil : reasons.map(\.reason).joined(separator: " ")
    }

    /// Whether the machine is to be tested now.
    package func isMachineDue(_ now: ContinuousClock.Instant) -> Bool {
        machine.map { $0.isOpen && $0.due <= now } ?? false
    }

    /// Batches whose files are to be looked for now.
    package func batchesDue(_ now: ContinuousClock.Instant) -> [Int64] {
        batches.filter { $0.value.isOpen && $0.value.due <= now }.keys.sorted()
    }

    /// A fault was met, perhaps again; one that goes on keeps its time for the next test.
    private static func meet(_ trouble: inout Trouble?, _ reason: String, now: ContinuousClock.Instant) {
        if trouble == nil {
            trouble = Trouble(reason: reason, due: now + .seconds(1))
        } else if trouble?.isOpen == false {
            trouble?.goesOn(reason, now: now)
        }
    }

    private func change(from before: String?) -> String? {
        guard before != unwell else { return nil }
        return unwell.map { "Unwell: \($0)" } ?? "Well again: pages are claimed as before."
    }
}
