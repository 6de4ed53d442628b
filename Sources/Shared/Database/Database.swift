/// One connection to PostgreSQL, on its own thread's queue: libpq blocks.
package actor Database {
    /// Nothing is connected before the first call.
    ///
    /// - Parameter connectionString: As libpq takes it; empty for the PG* variables.
    package init(connectionString: String, patienceSeconds: Double = 30) {}

    /// Ends the connection; a later call opens it again.
    package func close() {}
}
