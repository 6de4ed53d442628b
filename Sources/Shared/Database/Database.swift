/// One connection to PostgreSQL, on its own queue: libpq blocks.
///
/// A broken connection is opened again and the work repeated, so all work given to it must bear repetition.
package actor Database {
    private let connectionString: String
    private let patienceSeconds: Double
    private let executor = QueueExecutor(label: "quire.database")
    private var connection: Connection?
    private var hasBeenConnected = false

    package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Nothing is connected before the first call.
    ///
    /// `connectionString` is as libpq takes it; empty for the PG* variables. `patienceSeconds` is for how long a broken
    /// connection is tried again; a first connection that fails is reported at once.
    package init(connectionString: String, patienceSeconds: Double = 30) {
        self.connectionString = connectionString
        self.patienceSeconds = patienceSeconds
    }

    /// Ends the connection; a later call opens it again.
    package func close() { connection = nil }

    /// Runs one statement; its parameters are `$1`, `$2`, ...
    @discardableResult
    package func query(_ sql: String, _ parameters: [SQLValue] = []) async throws(DatabaseError) -> [Row] {
        try await run { connection throws(DatabaseError) in try connection.query(sql, parameters) }
    }

    /// Runs `body` with the connection.
    ///
    /// `body` runs again after a lost connection, a deadlock or a serialization failure.
    func run<Value: Sendable>(
        _ body: @Sendable (Connection) throws(DatabaseError) -> Value
    ) async throws(DatabaseError) -> Value {
        let clock = ContinuousClock()
        let deadline = clock.now + .seconds(patienceSeconds)
        var pause = 0.05
        while true {
            do throws(DatabaseError) {
                return try body(openConnection())
            } catch {
                guard isWorthRepeating(error), clock.now < deadline else { throw error }
                let jittered = pause * Double.random(in: 0.5...1.5)
                pause = min(pause * 2, 2)
                do { try await Task.sleep(for: .seconds(jittered)) } catch _ { throw error }
            }
        }
    }

    /// Runs `body` in one transaction, with the same repetition as `run`.
    func transaction<Value: Sendable>(
        _ body: @Sendable (Connection) throws(DatabaseError) -> Value
    ) async throws(DatabaseError) -> Value {
        try await run { connection throws(DatabaseError) in
            try connection.transaction { () throws(DatabaseError) in try body(connection) }
        }
    }

    private func openConnection() throws(DatabaseError) -> Connection {
        if let connection, !connection.isBroken { return connection }
        connection = nil
        let opened = try Connection(connectionString: connectionString)
        connection = opened
        hasBeenConnected = true
        return opened
    }

    private func isWorthRepeating(_ error: DatabaseError) -> Bool {
        switch error {
        case .connectionLost:
            connection = nil
            return hasBeenConnected
        case .server(let sqlState, _, _): return SQLStateAdvice.isTransient(sqlState)
        default: return false
        }
    }
}
