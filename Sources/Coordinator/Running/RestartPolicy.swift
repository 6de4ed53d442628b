/// Whether a local worker that died is started again: a decision without processes.
package struct RestartPolicy: Sendable {
    package enum Decision: Sendable, Equatable {
        case restart(afterSeconds: Double)
        /// It was told to leave, by whomever.
        case leave
        /// Starting it again would not help; why, in a sentence.
        case giveUp(reason: String)
    }

    /// Deaths before any page was in hand, without a longer life between them.
    private var failedStarts = 0
    /// Deaths with pages in hand while the batch got no further.
    private var fruitlessDeaths = 0

    package static let mostFailedStarts = 3
    /// Enough for one page that kills workers to be found: a range of 16 is lost whole twice, then halved four times, and
    /// its last page is lost twice more before it is quarantined.
    package static let mostFruitlessDeaths = 8
    /// A worker that lived so long had started well.
    private static let goodLifeSeconds = 60.0
    /// What `quire-worker` ends with when it cannot work here at all: options, model, renderer.
    private static let hopelessCodes: Set<Int32> = [2, 5, 6]

    package init() {}

    /// Takes note of a death after so many seconds of life.
    ///
    /// `hadPages`: it held a lease. `batchProgressed`: pages were settled since the death before.
    package mutating func died(
        _ end: WorkerProcess.End, seconds: Double, hadPages: Bool, batchProgressed: Bool
    ) -> Decision {
        if end == .exited(0) { return .leave }
        if case .exited(let code) = end, Self.hopelessCodes.contains(code) {
            return .giveUp(reason: "It \(end.sentence), which a restart does not mend.")
        }
        if hadPages {
            failedStarts = 0
            fruitlessDeaths = batchProgressed ? 1 : fruitlessDeaths + 1
            guard fruitlessDeaths < Self.mostFruitlessDeaths else {
                return .giveUp(reason: "It died \(fruitlessDeaths) times while no page was finished.")
            }
        } else {
            failedStarts = seconds >= Self.goodLifeSeconds ? 1 : failedStarts + 1
            guard failedStarts < Self.mostFailedStarts else {
                return .giveUp(reason: "It died \(failedStarts) times before it began a page.")
            }
        }
        return .restart(afterSeconds: min(10, 0.25 * Double(1 << max(failedStarts, fruitlessDeaths))))
    }
}
