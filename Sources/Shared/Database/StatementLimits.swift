/// How long a statement may run and wait before it is given up, by the kind of work.
///
/// A limit of the same name that is set already, by the connection string, the role, the database or the server, stands.
package struct StatementLimits: Sendable, Hashable {
    /// Seconds that the server gives a statement.
    package var statementSeconds: Double
    /// Seconds that a statement may wait for a lock; a wait that is cut short is tried again.
    package var lockSeconds: Double
    /// Seconds that an answer may be late.
    package var graceSeconds: Double

    package init(statementSeconds: Double, lockSeconds: Double, graceSeconds: Double = 10) {
        self.statementSeconds = statementSeconds
        self.lockSeconds = lockSeconds
        self.graceSeconds = graceSeconds
    }

    /// For claims, results, heartbeats and status.
    package static let brief = StatementLimits(statementSeconds: 30, lockSeconds: 20)
    /// For submissions, orders that touch many rows, and exports.
    package static let long = StatementLimits(statementSeconds: 3600, lockSeconds: 300)
    /// For steps of the schema, which may have to write a large table anew.
    package static let migration = StatementLimits(statementSeconds: 6 * 3600, lockSeconds: 300)

    /// Seconds without a byte in either direction after which a connection is given up.
    ///
    /// The server would have answered by then, if only with its refusal: nobody is there, though something in between
    /// keeps the line open.
    var silenceSeconds: Double { statementSeconds + graceSeconds }

    /// Seconds for which a transaction may stand between two statements: a stopped program must not keep its locks.
    static let idleSeconds = 60.0

    /// The server's settings, in milliseconds.
    var settings: [(name: String, milliseconds: Int)] {
        [
            ("statement_timeout", Int(statementSeconds * 1000)), ("lock_timeout", Int(lockSeconds * 1000)),
            ("idle_in_transaction_session_timeout", Int(Self.idleSeconds * 1000)),
        ]
    }
}
