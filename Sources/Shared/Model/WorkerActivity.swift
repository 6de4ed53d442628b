/// A worker with what it does, as `quire worker list` shows it.
package struct WorkerActivity: Sendable, Codable, Identifiable {
    package enum State: String, Sendable, Codable {
        case working
        case idle
        /// Something is wrong with it or its machine: it claims nothing until it is well again.
        case unwell
        case draining
        case silent
        case ended
    }

    /// Heartbeats are due every ten seconds: who misses two and a half is worth a look.
    package static let silenceSeconds = 30.0

    package var id: Int64
    package var name: String
    package var host: String
    package var pid: Int32
    package var device: String
    package var version: String
    package var modelDigest: String
    /// Names of the roots that it knows; nil for workers of earlier versions.
    package var roots: [String]?
    package var engineVersion: String
    package var precision: String
    package var state: State
    /// What is wrong, and since when (ISO 8601, UTC).
    package var unwell: String?
    package var unwellSince: String?
    package var secondsSinceSeen: Double
    package var pagesInHand: Int
    /// Pages that it has handed over, in all its attempts.
    package var pagesDone: Int
    /// ISO 8601, UTC.
    package var registeredAt: String
    package var endedAt: String?

    /// What follows from a worker's row and leases.
    package static func state(
        hasEnded: Bool, shouldDrain: Bool, secondsSinceSeen: Double, pagesInHand: Int, isUnwell: Bool = false
    ) -> State {
        if hasEnded { return .ended }
        if secondsSinceSeen >= silenceSeconds { return .silent }
        if shouldDrain { return .draining }
        if isUnwell { return .unwell }
        return pagesInHand > 0 ? .working : .idle
    }
}
