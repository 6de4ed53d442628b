internal import Synchronization

/// Which leases have results that the database does not take at the moment: while there are any, nothing new is claimed.
///
/// That bounds what a worker keeps in memory by what it has in hand.
package final class WaitingResults: Sendable {
    private let tokens = Mutex<Set<Int64>>([])

    package init() {}

    package var areThere: Bool { tokens.withLock { !$0.isEmpty } }

    /// Results of a lease begin to wait, or go on.
    func wait(_ token: Int64, _ reason: String) {
        let isFirst = tokens.withLock { tokens in
            defer { tokens.insert(token) }
            return tokens.isEmpty
        }
        if isFirst { Log.line("Results wait for the database, and nothing is claimed meanwhile. \(reason)") }
    }

    /// They were handed over, or are nobody's concern any more.
    func end(_ token: Int64) {
        let wasLast = tokens.withLock { tokens in tokens.remove(token) != nil && tokens.isEmpty }
        if wasLast { Log.line("No results wait any more.") }
    }
}
