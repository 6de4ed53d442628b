import Glibc
import Shared
import SystemPackage
import TestSupport

/// A PostgreSQL for one run, reached over TCP, which is killed and started again; durable, as in production.
final class TCPServer: Sendable {
    let port: UInt16
    private let directory: TemporaryDirectory

    /// As the server's user: PostgreSQL refuses to run as root.
    private static let prelude = """
        cd "$1"
        bin=$(dirname "$(ls /usr/lib/postgresql/*/bin/pg_ctl /usr/pgsql-*/bin/pg_ctl 2>/dev/null | sort -V | tail -n 1)")
        run() { "$@"; }
        if [ "$(id -u)" = 0 ]; then
          run() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
        fi
        """

    init(host: NetworkHost?) async throws {
        directory = try TemporaryDirectory(prefix: "quire-chaos", isWatched: true)
        port = try TCPSocket.freePort()
        let addresses = (["127.0.0.1"] + [host?.serverAddress].compactMap(\.self)).joined(separator: ",")
        try await Shell.run(
            Self.prelude + """

                mkdir cluster
                if [ "$(id -u)" = 0 ]; then chown postgres: cluster; fi
                run "$bin/initdb" -D cluster/data -U quire --auth=trust -E UTF8 --no-locale --data-checksums
                run tee -a cluster/data/postgresql.conf <<END
                listen_addresses = '$2'
                port = $3
                unix_socket_directories = ''
                max_connections = 120
                jit = off
                idle_in_transaction_session_timeout = 2000
                END
                run tee -a cluster/data/pg_hba.conf <<END
                host all all $4 trust
                END
                """, path, addresses, "\(port)", host?.network ?? "127.0.0.1/32")
        try await start()
        let admin = Database(connectionString: connectionString(database: "postgres"))
        try await admin.query("CREATE DATABASE quire")
        await admin.close()
        let database = Database(connectionString: connectionString())
        _ = try await Migrator(database: database).migrate()
        await database.close()
    }

    /// A standby of a server that runs: it follows it, is read-only, and is what a failover meets.
    init(standbyOf primary: TCPServer) async throws {
        directory = try TemporaryDirectory(prefix: "quire-chaos", isWatched: true)
        port = try TCPSocket.freePort()
        try await Shell.run(
            Self.prelude + """

                mkdir cluster
                if [ "$(id -u)" = 0 ]; then chown postgres: cluster; fi
                run "$bin/pg_basebackup" -h 127.0.0.1 -p "$2" -U quire -D cluster/data -R -X stream -c fast
                run tee -a cluster/data/postgresql.conf <<END
                port = $3
                END
                """, path, "\(primary.port)", "\(port)")
        try await start()
    }

    /// From now on it takes orders.
    func promote() async throws {
        try await Shell.run(Self.prelude + "\nrun \"$bin/pg_ctl\" -D cluster/data -w promote >/dev/null", path)
    }

    private var path: String { directory.path.string }

    func connectionString(
        address: String = "127.0.0.1", port: UInt16? = nil, database: String = "quire"
    ) -> String {
        "host=\(address) port=\(port ?? self.port) user=quire dbname=\(database) connect_timeout=3"
    }

    func start() async throws {
        try await Shell.run(
            Self.prelude + "\nrun \"$bin/pg_ctl\" -D cluster/data -l cluster/log -w -t 120 start >/dev/null 2>&1", path)
    }

    /// In order, as for a restart.
    func stop() async throws {
        try await Shell.run(Self.prelude + "\nrun \"$bin/pg_ctl\" -D cluster/data -m fast -w stop >/dev/null", path)
    }

    /// As if the machine had lost its power, but for what the kernel has taken already.
    func stopImmediately() async throws {
        try await Shell.run(Self.prelude + "\nrun \"$bin/pg_ctl\" -D cluster/data -m immediate -w stop", path)
    }
}
