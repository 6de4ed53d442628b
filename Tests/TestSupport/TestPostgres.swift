private import Shared

/// One throw-away PostgreSQL for all tests of a process, and a database of its own for each test that asks.
///
/// The server and its files go when the process ends, however it ends.
package actor TestPostgres {
    package static let shared = TestPostgres()

    private var starting: Task<String, any Error>?
    private var databases = 0

    /// The connection string of a new database, with Quire's schema or without.
    package func makeDatabase(migrated: Bool = true) async throws -> String {
        let server = try await server()
        databases += 1
        let name = "test_\(databases)"
        let database = Database(connectionString: server)
        try await database.query("CREATE DATABASE \(name) TEMPLATE \(migrated ? "quire_template" : "template0")")
        await database.close()
        return "\(server) dbname=\(name)"
    }

    /// The connection string of the server, started at the first call.
    private func server() async throws -> String {
        if let starting { return try await starting.value }
        // Unstructured, as all tests wait for the one start.
        let task = Task {
            let directory = try TemporaryDirectory(prefix: "quire-postgres", isWatched: true)
            var options = EmbeddedPostgres.Options()
            options.isDurable = false
            // Many tests at once, each with connections of its own.
            options.connections = 1000
            let cluster = try await EmbeddedPostgres.acquire(directory: directory.path, options: options)
            let admin = Database(connectionString: cluster.connectionString)
            try await admin.query("CREATE DATABASE quire_template")
            await admin.close()
            let template = Database(connectionString: "\(cluster.connectionString) dbname=quire_template")
            _ = try await Migrator(database: template).migrate()
            await template.close()
            Self.keep(directory, cluster)
            return cluster.connectionString
        }
        starting = task
        return try await task.value
    }

    /// Both live as long as the process; the directory's watcher cleans up after it.
    private nonisolated static func keep(_ directory: TemporaryDirectory, _ cluster: EmbeddedPostgres) {
        _ = Unmanaged.passRetained(directory)
        _ = Unmanaged.passRetained(cluster)
    }
}
