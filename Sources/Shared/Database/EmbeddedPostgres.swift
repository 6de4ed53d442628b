private import Dispatch
package import SystemPackage

#if canImport(Glibc)
    private import Glibc
#endif

/// The private PostgreSQL cluster, started by whoever needs it and stopped by its last user.
///
/// Each user holds a shared lock on `users.lock`, which the kernel lets go of however the user ends; so a crash leaves at
/// most a running server that the next user takes over.
package final class EmbeddedPostgres: Sendable {
    package struct Options: Sendable {
        /// False only in tests: a crash of the machine may then lose data.
        package var isDurable = true
        /// How many connections the server takes.
        package var connections = 200

        package init() {}
    }

    /// What libpq needs to reach the cluster's database; valid in child processes too.
    package let connectionString: String
    /// The server's main process.
    package let serverPID: Int32

    private let cluster: PrivateCluster
    private let directory: FilePath
    private let users: FileLock

    private init(cluster: PrivateCluster, directory: FilePath, users: FileLock, server: PostmasterFile) {
        self.cluster = cluster
        self.directory = directory
        self.users = users
        connectionString = Self.connectionString(server, database: "quire")
        serverPID = server.pid
    }

    /// `QUIRE_DATA`, else /var/lib/quire for root, else `$XDG_DATA_HOME/quire` or ~/.local/share/quire.
    package static func defaultDirectory(environment: [String: String]) -> FilePath {
        if let path = environment["QUIRE_DATA"], !path.isEmpty { return FilePath(path) }
        if geteuid() == 0 { return "/var/lib/quire" }
        if let path = environment["XDG_DATA_HOME"], path.hasPrefix("/") { return FilePath(path).appending("quire") }
        return FilePath(environment["HOME"] ?? "/").appending(".local/share/quire")
    }

    /// Makes the cluster if there is none, starts it if it does not run, and keeps it running until `release`.
    package static func acquire(
        directory: FilePath, options: Options = Options()
    ) async throws(DatabaseError) -> EmbeddedPostgres {
        try await onOwnThread { () throws(DatabaseError) in
            let directory = absolute(directory)
            try makeDirectories(directory)
            let turn = try startLock(directory)
            defer { turn.unlock() }
            let users = try FileLock(directory.appending("users.lock"))
            guard users.lock(.shared, seconds: 1) else {
                throw .embeddedServer(reason: "\(directory.displayText)/users.lock is held by another program.")
            }
            let cluster = try PrivateCluster(home: directory.appending("cluster"), options: options)
            let server = try cluster.start()
            try makeDatabase(server)
            return EmbeddedPostgres(cluster: cluster, directory: directory, users: users, server: server)
        }
    }

    /// Gives the cluster up; its last user stops it.
    package func release() async {
        try? await Self.onOwnThread { () throws(DatabaseError) in
            let turn = try Self.startLock(self.directory)
            defer { turn.unlock() }
            if self.users.tryLock(.exclusive) { self.cluster.stop() }
            self.users.unlock()
        }
    }

    private static func startLock(_ directory: FilePath) throws(DatabaseError) -> FileLock {
        let lock = try FileLock(directory.appending("start.lock"))
        guard lock.lock(.exclusive, seconds: 660) else {
            throw .embeddedServer(
                reason: "Another program has been starting the database in \(directory.displayText) for 11 minutes.")
        }
        return lock
    }

    private static func makeDatabase(_ server: PostmasterFile) throws(DatabaseError) {
        let connection = try Connection(connectionString: connectionString(server, database: "postgres"))
        if try connection.query("SELECT FROM pg_database WHERE datname = 'quire'").isEmpty {
            try connection.execute(script: "CREATE DATABASE quire")
        }
    }

    private static func connectionString(_ server: PostmasterFile, database: String) -> String {
        "host=\(ConnectionString.quoted(server.socketDirectory)) port=\(server.port) dbname=\(database) user=quire"
    }

    private static func makeDirectories(_ directory: FilePath) throws(DatabaseError) {
        var path = FilePath(root: directory.root)
        for component in directory.components {
            path.append(component)
            guard path.withPlatformString({ mkdir($0, 0o755) }) != 0, errno != EEXIST, errno != EISDIR else { continue }
            let reason = String(cString: strerror(errno))
            guard path.withPlatformString({ access($0, F_OK) }) != 0 else { continue }
            throw .embeddedServer(
                reason: "\(path.displayText) cannot be made: \(reason). Set QUIRE_DATA to a directory of your own.")
        }
    }

    private static func absolute(_ path: FilePath) -> FilePath {
        guard path.isRelative, let start = getcwd(nil, 0) else { return path.lexicallyNormalized() }
        defer { free(start) }
        return FilePath(platformString: start).pushing(path).lexicallyNormalized()
    }

    /// Runs `body`, which blocks, away from the cooperative threads.
    private static func onOwnThread<Value: Sendable>(
        _ body: @escaping @Sendable () throws(DatabaseError) -> Value
    ) async throws(DatabaseError) -> Value {
        let result: Result<Value, DatabaseError> = await withCheckedContinuation { continuation in
            DispatchQueue(label: "quire.embedded-postgres").async {
                do throws(DatabaseError) {
                    continuation.resume(returning: .success(try body()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try result.get()
    }
}
