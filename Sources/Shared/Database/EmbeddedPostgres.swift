private import Dispatch
package import SystemPackage

#if canImport(Glibc)
    private import Glibc
#endif

/// The private PostgreSQL cluster, started by whoever needs it and stopped by its last user.
///
/// Each user holds a shared lock on `users.lock`, which the kernel lets go of however the user ends; so a crash leaves at
/// most a running server that the next user takes over. Locks and the socket work from every container that has the
/// directory, so all of them use one server; the container that started it may end it, and then the next who needs it
/// starts it again (`revive`).
package final class EmbeddedPostgres: Sendable {
    package struct Options: Sendable {
        /// False only in tests: a crash of the machine may then lose data.
        package var isDurable = true
        /// How many connections the server takes.
        package var connections = 200
        /// Set only in tests: what the data are taken to lie on.
        package var disk: FileSystemKind?

        package init() {}
    }

    /// What libpq needs to reach the cluster's database; valid in child processes too.
    package let connectionString: String
    /// The server's main process at first, in the PID namespace that it was started in.
    package let serverPID: Int32
    /// The directory, as a child process is to be told in `QUIRE_DATA`.
    package let directory: FilePath

    private let cluster: PrivateCluster
    private let users: FileLock

    private init(cluster: PrivateCluster, directory: FilePath, users: FileLock, server: ServerAddress) {
        self.cluster = cluster
        self.directory = directory
        self.users = users
        connectionString = server.connectionString(database: "quire")
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
            try checkDisk(directory, options)
            let turn = try startLock(directory)
            defer { turn.unlock() }
            let users = try FileLock(directory.appending("users.lock"))
            guard try users.lock(.shared, seconds: 1) else {
                throw .embeddedServer(reason: "\(directory.displayText)/users.lock is held by another program.")
            }
            let cluster = try PrivateCluster(home: directory.appending("cluster"), options: options)
            let server = try cluster.start()
            try makeDatabase(server)
            return EmbeddedPostgres(cluster: cluster, directory: directory, users: users, server: server)
        }
    }

    /// Starts the server again if it is gone, as when it was killed or the container that had started it has ended.
    package func revive() async throws(DatabaseError) {
        try await Self.onOwnThread { () throws(DatabaseError) in
            let turn = try Self.startLock(self.directory)
            defer { turn.unlock() }
            _ = try self.cluster.start()
        }
    }

    /// Gives the cluster up; its last user stops it.
    package func release() async {
        try? await Self.onOwnThread { () throws(DatabaseError) in
            let turn = try Self.startLock(self.directory)
            defer { turn.unlock() }
            // The first process of a PID namespace, such as a container's, takes the server along when it ends: better
            // stopped in order and started again by who is left.
            if try self.users.tryLock(.exclusive) || getpid() == 1 && self.cluster.isServerHere { self.cluster.stop() }
            self.users.unlock()
        }
    }

    // MARK: By hand

    /// What an upgrade has done.
    package struct Upgrade: Sendable {
        package var oldVersion: Int
        package var newVersion: Int
        /// Where the old data are.
        package var kept: FilePath
    }

    /// Moves the cluster to another version of PostgreSQL; nil where it is of the newest.
    ///
    /// That is the newest that is installed, or the one whose programs lie in `programs`. `tell` is called with each step. Refuses while the cluster is in use.
    package static func upgrade(
        directory: FilePath, programs: FilePath?, options: Options = Options(),
        tell: @escaping @Sendable (String) -> Void
    ) async throws(DatabaseError) -> Upgrade? {
        try await alone(directory, options) { cluster throws(DatabaseError) -> Upgrade? in
            let target =
                if let programs { try ServerInstallation.at(absolute(programs)) } else {
                    try ServerInstallation.find(version: nil)
                }
            let version = try cluster.existingVersion()
            guard programs != nil || version != target.majorVersion else { return nil }
            let outcome = try ClusterUpgrade(cluster: cluster, target: target).run(tell: tell)
            return Upgrade(oldVersion: outcome.oldVersion, newVersion: outcome.newVersion, kept: outcome.kept)
        }
    }

    /// Forgets from where the cluster's server was started last, after somebody has made sure that it is gone; returns
    /// that, nil where nothing was on record.
    package static func takeOver(
        directory: FilePath, options: Options = Options()
    ) async throws(DatabaseError) -> ServerOwner? {
        try await alone(directory, options) { cluster throws(DatabaseError) in try cluster.takeOver() }
    }

    /// The version of the cluster in a directory, and the newest that is installed where that is newer.
    package static func versions(directory: FilePath) -> (own: Int, newer: Int?)? {
        let text = SmallFile.readText(absolute(directory).appending("cluster/data/PG_VERSION"))
        guard let own = text.flatMap({ Int($0.filter(\.isNumber)) }) else { return nil }
        return (own, ServerInstallation.newestVersion().flatMap { $0 > own ? $0 : nil })
    }

    /// Runs `body` where nobody uses the cluster.
    private static func alone<Value: Sendable>(
        _ directory: FilePath, _ options: Options,
        _ body: @escaping @Sendable (PrivateCluster) throws(DatabaseError) -> Value
    ) async throws(DatabaseError) -> Value {
        try await onOwnThread { () throws(DatabaseError) in
            let directory = absolute(directory)
            let home = directory.appending("cluster")
            guard home.withPlatformString({ access($0, F_OK) }) == 0 else {
                throw .refused(reason: "There is no private database in \(directory.displayText). Nothing was changed.")
            }
            try checkDisk(directory, options)
            let turn = try startLock(directory)
            defer { turn.unlock() }
            let users = try FileLock(directory.appending("users.lock"))
            guard try users.lock(.exclusive, seconds: 1) else {
                throw .refused(
                    reason:
                        "The database in \(directory.displayText) is in use: wait until all Quire programs that use it "
                        + "have ended, or stop them. Nothing was changed.")
            }
            defer { users.unlock() }
            return try body(try PrivateCluster(home: home, options: options))
        }
    }

    private static func startLock(_ directory: FilePath) throws(DatabaseError) -> FileLock {
        let lock = try FileLock(directory.appending("start.lock"))
        guard try lock.lock(.exclusive, seconds: 660) else {
            throw .embeddedServer(
                reason: "Another program has been starting, stopping or upgrading the database in "
                    + "\(directory.displayText) for 11 minutes.")
        }
        return lock
    }

    /// PostgreSQL's data, and locks that are to be relied on, belong on a disk of this machine.
    private static func checkDisk(_ directory: FilePath, _ options: Options) throws(DatabaseError) {
        for path in [directory, directory.appending("cluster/data")] {
            guard case .network(let name) = options.disk ?? FileSystemKind.of(path) else { continue }
            throw .embeddedServer(
                reason:
                    "\(path.displayText) lies on a network file system (\(name)). A private database is not safe there: "
                    + "locks cannot be relied on, and two machines that start it would destroy it. Set QUIRE_DATA to a "
                    + "directory on a disk of this machine, or DATABASE_URL to a server.")
        }
    }

    private static func makeDatabase(_ server: ServerAddress) throws(DatabaseError) {
        let connection = try Connection(connectionString: server.connectionString(database: "postgres"))
        if try connection.query("SELECT FROM pg_database WHERE datname = 'quire'").isEmpty {
            try connection.execute(script: "CREATE DATABASE quire")
        }
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
