package import Shared

/// What to do with results that the database does not take: a decision without a database.
///
/// What may be the database's own trouble is waited for; what may be the results' is tried with fewer pages, down to the
/// one page that is refused.
package struct HandOver: Sendable {
    package enum Step: Sendable, Equatable {
        /// Send the same again after so many seconds.
        case wait(seconds: Double)
        /// Send at most `limit` pages at once.
        case fewer
        /// This one page's result cannot be stored, for this reason: it fails for the time being.
        case fail(reason: String)
        /// The lease cannot be recorded at all.
        case giveUp
    }

    /// How many pages may go together.
    package private(set) var limit = Int.max
    private var pause = shortestPause

    private static let shortestPause = 0.2
    private static let longestPause = 5.0

    package init() {}

    /// Notes that the database has taken what it was sent.
    package mutating func accepted() {
        pause = Self.shortestPause
        // Slowly back to what was too much before.
        if limit < Int.max / 2 { limit *= 2 }
    }

    /// Decides after `error` refused `pages` pages; `isFailure`: the one page's outcome is itself a failure.
    package mutating func refused(_ error: DatabaseError, pages: Int, isFailure: Bool) -> Step {
        switch Self.cause(of: error) {
        case .database: return wait()
        case .size:
            guard pages > 1 else { return wait() }
            limit = max(1, pages / 2)
            return .fewer
        case .content:
            if pages > 1 {
                limit = 1
                return .fewer
            }
            guard !isFailure else { return .giveUp }
            return .fail(
                reason: "The database refuses the page's result. \(error.description) The page is tried again.")
        case .program: return .giveUp
        }
    }

    private mutating func wait() -> Step {
        defer { pause = min(pause * 2, Self.longestPause) }
        return .wait(seconds: pause)
    }

    private enum Cause {
        case database
        case size
        case content
        case program
    }

    private static func cause(of error: DatabaseError) -> Cause {
        guard case .server(let sqlState, _, _) = error else {
            if case .unexpectedAnswer = error { return .program }
            return .database
        }
        // Too slow, too large for the server's memory, or an error of its own that large values bring about.
        if ["57014", "53200"].contains(sqlState) || sqlState.hasPrefix("XX") || sqlState.hasPrefix("54") {
            return .size
        }
        // Data exceptions and broken constraints.
        if sqlState.hasPrefix("22") || sqlState.hasPrefix("23") { return .content }
        return .database
    }
}
