/// An opened database of the right schema, and the private cluster behind it where there is one.
package final class DatabaseSession: Sendable {
    package let database: Database
    /// What child processes need in `DATABASE_URL`; nil where they inherit the PG* variables.
    package let connectionString: String?
    /// Steps of the schema that opening has applied.
    package let appliedMigrations: [String]
    private let embedded: EmbeddedPostgres?

    private init(
        database: Database, connectionString: String?, appliedMigrations: [String], embedded: EmbeddedPostgres?
    ) {
        self.database = database
        self.connectionString = connectionString
        self.appliedMigrations = appliedMigrations
        self.embedded = embedded
    }

    package var queue: PageQueue { PageQueue(database: database) }

    /// The queue's orders over a connection of their own, as for heartbeats beside long statements.
    package func makeDatabase() -> Database { Database(connectionString: connectionString ?? "") }

    /// Starts the private cluster if that is what the settings say, connects and checks the schema.
    ///
    /// The private cluster is migrated on its own; another database only where `migrating` is true, as by
    /// `quire migrate`.
    package static func open(
        _ settings: DatabaseSettings, migrating: Bool = false
    ) async throws(DatabaseError) -> DatabaseSession {
        var embedded: EmbeddedPostgres?
        let connectionString: String?
        switch settings.server {
        case .connectionString(let text): connectionString = text
        case .environment: connectionString = nil
        case .embedded(let directory):
            let cluster = try await EmbeddedPostgres.acquire(directory: directory)
            embedded = cluster
            connectionString = cluster.connectionString
        }
        let database = Database(
            connectionString: connectionString ?? "", patienceSeconds: settings.patienceSeconds)
        do throws(DatabaseError) {
            let migrator = Migrator(database: database)
            var applied: [String] = []
            if migrating || embedded != nil {
                applied = try await migrator.migrate()
            } else {
                try await migrator.check()
            }
            return DatabaseSession(
                database: database, connectionString: connectionString, appliedMigrations: applied, embedded: embedded)
        } catch {
            await database.close()
            await embedded?.release()
            throw error
        }
    }

    /// Disconnects; the last user of the private cluster stops it.
    package func close() async {
        await database.close()
        await embedded?.release()
    }
}
