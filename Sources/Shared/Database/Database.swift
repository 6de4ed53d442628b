/// One connection to PostgreSQL, on its own queue: libpq blocks.
///
/// A broken connection is opened again and the work repeated, so all work given to it must bear repetition.
package actor Database {
    private let connectionString: String
    private let patienceSeconds: Double
    private let limits: StatementLimits
    private let start: StartPatience?
    private let revive: (@Sendable () async throws(DatabaseError) -> Void)?
    private let executor = QueueExecutor(label: "quire.database")
    private var connection: Connection?
    private var hasBeenConnected = false

    package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Nothing is connected before the first call.
    ///
    /// `connectionString` is as libpq takes it; empty for the PG* variables. `patienceSeconds` is for how long a broken
    /// connection is tried again. A first connection that fails is reported at once, unless `start` says to wait. `revive`
    /// starts a server that is ours and may be gone, before a lost connection is opened again.
    package init(
        connectionString: String, patienceSeconds: Double = 30, limits: StatementLimits = .long,
        start: StartPatience? = nil, revive: (@Sendable () async throws(DatabaseError) -> Void)? = nil
    ) {
        self.connectionString = connectionString
        self.patienceSeconds = patienceSeconds
        self.limits = limits
        self.start = start
        self.revive = revive
    }

    /// Ends the connection; a later call opens it again.
    package func close() { connection = nil }

    /// True where a pooler lies between here and the server; connects if need be.
    package func isPooled() async throws(DatabaseError) -> Bool {
        try await repeating { connection throws(DatabaseError) in connection.isPooled }
    }

    /// Runs one statement; its parameters are `$1`, `$2`, ...
    @discardableResult
    package func query(_ sql: String, _ parameters: [SQLValue] = []) async throws(DatabaseError) -> [Row] {
        try await run { connection throws(DatabaseError) in try connection.query(sql, parameters) }
    }

    /// Runs `body` with the connection.
    ///
    /// `body` runs again after a lost connection, a deadlock or a serialization failure. Behind a pooler it runs in one
    /// transaction, as only there the time limits hold.
    func run<Value: Sendable>(
        _ body: @Sendable (Connection) throws(DatabaseError) -> Value
    ) async throws(DatabaseError) -> Value {
        try await repeating { connection throws(DatabaseError) in
            guard connection.isPooled else { return try body(connection) }
            return try connection.transaction { () throws(DatabaseError) in try body(connection) }
        }
    }

    /// Runs `body` in one transaction, with the same repetition as `run`.
    ///
    /// `limits` are those of this transaction, where they differ from the database's.
    func transaction<Value: Sendable>(
        limits: StatementLimits? = nil, _ body: @Sendable (Connection) throws(DatabaseError) -> Value
    ) async throws(DatabaseError) -> Value {
        try await repeating { connection throws(DatabaseError) in
            try connection.transaction(limits: limits) { () throws(DatabaseError) in try body(connection) }
        }
    }

    private func repeating<Value: Sendable>(
        _ body: @Sendable (Connection) throws(DatabaseError) -> Value
    ) async throws(DatabaseError) -> Value {
        let clock = ContinuousClock()
        var deadline = clock.now + .seconds(hasBeenConnected ? patienceSeconds : start?.seconds ?? patienceSeconds)
        var pause = 0.05
        var wasAnswered = false
        var notRevived: DatabaseError?
        while true {
            do throws(DatabaseError) {
                return try body(openConnection())
            } catch {
                guard isWorthRepeating(error, wasAnswered: &wasAnswered) else { throw error }
                guard clock.now < deadline else { throw notRevived ?? error }
                if !hasBeenConnected { start?.tell(error) }
                // Jitter keeps many programs from coming back to a server in step.
                let jittered = pause * Double.random(in: 0.5...1.5)
                pause = min(pause * 2, 2)
                do { try await Task.sleep(for: .seconds(jittered)) } catch _ { throw error }
                if let revive, case .connectionLost = error {
                    // How long a recovery takes says nothing about the connection.
                    let begun = clock.now
                    do throws(DatabaseError) {
                        try await revive()
                        notRevived = nil
                        deadline += clock.now - begun
                    } catch {
                        notRevived = .connectionLost(reason: error.description)
                    }
                }
            }
        }
    }

    private func openConnection() throws(DatabaseError) -> Connection {
        if let connection, !connection.isBroken { return connection }
        connection = nil
        let opened = try Connection(connectionString: connectionString, limits: limits)
        connection = opened
        hasBeenConnected = true
        return opened
    }

    /// `wasAnswered`: whether the server was found to take connections before the attempt that failed.
    private func isWorthRepeating(_ error: DatabaseError, wasAnswered: inout Bool) -> Bool {
        switch error {
        case .connectionLost:
            connection = nil
            if hasBeenConnected { return true }
            // A server that takes connections, and refuses this one, will do so again: a wrong password, a database that
            // is not there. It may have become ready only after it refused, so one more attempt decides.
            guard start != nil else { return false }
            let isAnswered = Connection.isAnswered(connectionString: connectionString)
            defer { wasAnswered = isAnswered }
            return !(isAnswered && wasAnswered)
        case .server(SQLStateAdvice.readOnly, _, _):
            // Of several servers this is the standby: whoever tries again may meet the primary.
            connection = nil
            return false
        case .server(let sqlState, _, _): return SQLStateAdvice.isTransient(sqlState)
        default: return false
        }
    }
}

/// For how long a program waits at its start for a server that is not there yet, and how it says so.
package struct StartPatience: Sendable {
    package var seconds: Double
    /// Called with each failure.
    package var tell: @Sendable (DatabaseError) -> Void

    package init(seconds: Double, tell: @escaping @Sendable (DatabaseError) -> Void) {
        self.seconds = seconds
        self.tell = tell
    }
}
