import Shared
import SystemPackage
import TestSupport

#if canImport(Glibc)
    import Glibc
#endif

/// A real pgbouncer in transaction mode before the tests' server; stopped when let go of, or when the tests end.
struct Pooler {
    /// The connection string of a database, through the pooler.
    let connectionString: String
    private let directory: TemporaryDirectory
    private let program: RunningProgram

    struct NotStarted: Error {
        let reason: String
    }

    /// `direct` is the connection string of a database of the tests' server.
    init(before direct: String, sessions: Int = 3) async throws {
        directory = try TemporaryDirectory(prefix: "quire-pooler")
        let database = Database(connectionString: direct)
        var rows = try await database.query(
            "SELECT current_setting('data_directory') || '/' || current_setting('unix_socket_directories'), current_database()::text"
        )
        let (socket, name) = (try rows[0].text(), try rows[0].text())
        await database.close()
        let port = Int.random(in: 20_000..<60_000)
        try directory.makeFile(
            "pgbouncer.ini",
            Array(
                """
                [databases]
                * = host=\(socket) port=5432 user=quire
                [pgbouncer]
                listen_port = \(port)
                unix_socket_dir = \(directory.path)/run
                unix_socket_mode = 0777
                auth_type = any
                pool_mode = transaction
                default_pool_size = \(sessions)
                max_client_conn = 200

                """.utf8))
        // pgbouncer refuses to run as root; the server's user may use the server's socket. A shell watches over it, as a
        // test that is killed cannot.
        let script = """
            mkdir "$1/run" && chmod 755 "$1/run" && chmod 644 "$1/pgbouncer.ini"
            if [ "$(id -u)" -eq 0 ]; then
              chown postgres "$1/run"
              setpriv --reuid=postgres --regid=postgres --init-groups /usr/sbin/pgbouncer -q "$1/pgbouncer.ini" &
            else
              /usr/sbin/pgbouncer -q "$1/pgbouncer.ini" &
            fi
            child=$!
            (while kill -0 $$ && kill -0 "$2"; do sleep 0.2; done 2>/dev/null; kill -QUIT $child 2>/dev/null) &
            wait $child
            """
        program = try RunningProgram(
            "/bin/sh", ["-c", script, "sh", directory.path.string, "\(getpid())"])
        connectionString = "host=\(directory.path)/run port=\(port) dbname=\(name) user=quire"
        for _ in 0..<1000 {
            if access("\(directory.path)/run/.s.PGSQL.\(port)", F_OK) == 0 { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw NotStarted(reason: program.errors)
    }
}
