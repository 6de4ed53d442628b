import Shared
import SystemPackage
import TestSupport

/// A PostgreSQL for one test alone, for settings and roles that concern the whole server.
final class OwnServer: Sendable {
    private let directory: TemporaryDirectory
    private let cluster: EmbeddedPostgres
    let connectionString: String

    private static var options: EmbeddedPostgres.Options {
        var options = EmbeddedPostgres.Options()
        options.isDurable = false
        return options
    }

    convenience init() async throws {
        try await self.init(try TemporaryDirectory(prefix: "quire-server", isWatched: true))
    }

    private init(_ directory: TemporaryDirectory) async throws {
        self.directory = directory
        cluster = try await EmbeddedPostgres.acquire(directory: directory.path, options: Self.options)
        connectionString = cluster.connectionString
    }

    /// Where its files lie.
    var path: FilePath { directory.path }

    func database(_ name: String) -> Database { Database(connectionString: "\(connectionString) dbname=\(name)") }

    func stop() async { await cluster.release() }

    /// Stops it and starts it again, with settings that were made meanwhile.
    func restarted() async throws -> OwnServer {
        await stop()
        return try await OwnServer(directory)
    }

    /// Lets every role in by its name alone, and with `lines` more of pg_hba.conf.
    func acceptAllRoles(_ lines: String = "") async throws {
        try await HostAccess.acceptAll(database("postgres"), lines)
    }
}

/// Who may connect to a server of the tests.
enum HostAccess {
    static func acceptAll(_ database: Database, _ lines: String = "") async throws {
        var rows = try await database.query("SELECT current_setting('hba_file')")
        let file = try FileDescriptor.open(FilePath(try rows[0].text()), .writeOnly, options: .truncate)
        try file.closeAfter { _ = try file.writeAll("local all all trust\n\(lines)".utf8) }
        let before = try await loadTime(database)
        try await database.query("SELECT pg_reload_conf()")
        while try await loadTime(database) == before { try await Task.sleep(for: .milliseconds(5)) }
    }

    /// When the main process read its settings last, as a new session inherits it.
    private static func loadTime(_ database: Database) async throws -> Double {
        await database.close()
        var rows = try await database.query("SELECT extract(epoch FROM pg_conf_load_time())::float8")
        return try rows[0].double()
    }
}

extension TestPostgres {
    /// Lets every role of the tests' server in by its name alone; its socket is for this user only.
    func acceptAllRoles() async throws {
        try await HostAccess.acceptAll(Database(connectionString: try await makeDatabase(migrated: false)))
    }
}
