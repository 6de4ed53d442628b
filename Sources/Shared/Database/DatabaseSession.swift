/// An opened database of the right schema, and the private cluster behind it where there is one.
package final class DatabaseSession: Sendable {
    package let database: Database
    /// What child processes need in `DATABASE_URL`; nil where they inherit the PG* variables.
    package let connectionString: String?

    private init(database: Database, connectionString: String?) {
        self.database = database
        self.connectionString = connectionString
    }

    /// Starts the private cluster if that is what the settings say, connects and checks the schema.
    ///
    /// The private cluster is migrated on its own; another database only by `quire migrate`.
    ///
    /// - Parameter migrating: Bring another database's schema up to date too.
    package static func open(
        _ settings: DatabaseSettings, migrating: Bool = false
    ) async throws(DatabaseError) -> DatabaseSession {
        throw .unexpectedAnswer(reason: "not there yet")
    }

    package var queue: PageQueue { PageQueue(database: database) }

    /// Disconnects; the last user of the private cluster stops it.
    package func close() async {}
}
