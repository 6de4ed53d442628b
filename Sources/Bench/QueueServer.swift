import Glibc
import Shared
import SystemPackage

/// The PostgreSQL that is measured: one that was given, or a private one that is gone afterwards.
struct QueueServer {
    let connectionString: String
    private let cluster: EmbeddedPostgres?
    private let directory: String?

    /// Starts a private server with its defaults, as production has it, unless one is given.
    static func start(connectionString: String?) async throws -> QueueServer {
        if let connectionString {
            let database = Database(connectionString: connectionString)
            let known = try await database.query("SELECT FROM pg_namespace WHERE nspname = 'quire'")
            await database.close()
            guard known.isEmpty else {
                throw QueueProblem(
                    reason: "The database holds Quire's tables already, and they would be dropped: give an empty one.")
            }
            return QueueServer(connectionString: connectionString, cluster: nil, directory: nil)
        }
        var template = Array("/tmp/quire-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
        // The server may run as another user, who must get there.
        chmod(template, 0o755)
        let directory = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        let cluster = try await EmbeddedPostgres.acquire(directory: FilePath(directory))
        return QueueServer(connectionString: cluster.connectionString, cluster: cluster, directory: directory)
    }

    /// A queue with new, empty tables.
    func makeQueue() async throws -> PageQueue {
        let database = Database(connectionString: connectionString)
        _ = try await Migrator(database: database).migrate()
        return PageQueue(database: database)
    }

    func dropTables() async throws {
        let database = Database(connectionString: connectionString)
        try await database.query("DROP SCHEMA quire CASCADE")
        try await database.query("CHECKPOINT")
        await database.close()
    }

    /// Stops a private server and removes its files; drops the tables from one that was given.
    func stop() async {
        guard let cluster, let directory else {
            let database = Database(connectionString: connectionString)
            _ = try? await database.query("DROP SCHEMA IF EXISTS quire CASCADE")
            await database.close()
            return
        }
        await cluster.release()
        TemporaryFolder.remove(FilePath(directory))
    }
}

/// Why the job tables cannot be measured.
struct QueueProblem: Error, CustomStringConvertible {
    let reason: String

    var description: String { reason }
}
