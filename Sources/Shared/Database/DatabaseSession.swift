package import SystemPackage

/// An opened database of the right schema, and the private cluster behind it where there is one.
package final class DatabaseSession: Sendable {
    package let database: Database
    /// What child processes need in `DATABASE_URL`; nil where they inherit the PG* variables.
    package let connectionString: String?
    /// Steps of the schema that opening has applied.
    package let appliedMigrations: [String]
    private let limits: StatementLimits
    private let embedded: EmbeddedPostgres?

    private init(
        database: Database, connectionString: String?, limits: StatementLimits, appliedMigrations: [String],
        embedded: EmbeddedPostgres?
    ) {
        self.database = database
        self.connectionString = connectionString
        self.limits = limits
        self.appliedMigrations = appliedMigrations
        self.embedded = embedded
    }

    package var queue: PageQueue { PageQueue(database: database) }

    /// `QUIRE_DATA` for child processes that are to use the private cluster as users of their own, so that it lives as long
    /// as they do; nil for another database.
    package var dataDirectory: FilePath? { embedded?.directory }

    /// The queue's orders over a connection of their own, as for heartbeats beside long statements.
    package func makeDatabase() -> Database {
        Database(connectionString: connectionString ?? "", limits: limits, revive: Self.revival(of: embedded))
    }

    /// Hears of submissions over a connection of its own.
    package func makeListener() -> SubmissionListener { SubmissionListener(connectionString: connectionString ?? "") }

    /// Starts the private cluster if that is what the settings say, connects and checks the schema.
    ///
    /// The private cluster is migrated on its own; another database only where `migrating` is true, as by
    /// `quire migrate`. `start` is for programs that wait at their start for a server that is not there yet.
    package static func open(
        _ settings: DatabaseSettings, migrating: Bool = false, start: StartPatience? = nil
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
            connectionString: connectionString ?? "", patienceSeconds: settings.patienceSeconds,
            limits: settings.limits, start: start, revive: revival(of: embedded))
        do throws(DatabaseError) {
            let migrator = Migrator(database: database)
            var applied: [String] = []
            if migrating || embedded != nil {
                applied = try await migrator.migrate(isGranting: embedded == nil)
            } else {
                try await migrator.check()
            }
            return DatabaseSession(
                database: database, connectionString: connectionString, limits: settings.limits,
                appliedMigrations: applied, embedded: embedded)
        } catch {
            await database.close()
            await embedded?.release()
            throw error
        }
    }

    private static func revival(
        of cluster: EmbeddedPostgres?
    ) -> (@Sendable () async throws(DatabaseError) -> Void)? {
        guard let cluster else { return nil }
        return { () async throws(DatabaseError) in try await cluster.revive() }
    }

    /// What an administrator has to do so that workers and readers can have roles of their own; nil where all is done.
    package func roleAdvice() async throws(DatabaseError) -> String? {
        let missing = try await Migrator(database: database).missingRoles()
        guard !missing.isEmpty else { return nil }
        let statements = missing.map { "CREATE ROLE \($0) NOLOGIN;" }.joined(separator: " ")
        return "This role may not make others. For workers and readers with less rights than the owner's, let an "
            + "administrator run: \(statements) Then run `quire migrate` again."
    }

    /// Disconnects; the last user of the private cluster stops it.
    package func close() async {
        await database.close()
        await embedded?.release()
    }
}
