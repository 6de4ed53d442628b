internal import SystemPackage

#if canImport(Glibc)
    internal import Glibc
#endif

/// As whom a private cluster's server runs: this user, or `postgres` where this one is root.
struct ClusterOwner: Sendable {
    var id: uid_t
    var group: gid_t
    /// Nil where the number has no name here: then a server can be used, but not started.
    var name: String?

    var text: String { name ?? "user number \(id)" }
}

/// The files and the server of one private cluster; everything blocks, and the caller holds the start lock.
///
/// Below `home`: `data` (the cluster), `run` (the socket), `postgres.log`, `server.lock` and `owner.json` (`ServerOwner`).
/// All of it belongs to the user as whom the server runs.
///
/// There is one server, whatever host or namespace asks: one that answers on the socket is used; each holds `server.lock`
/// with all its processes, so whoever gets that lock knows that none is left on this kernel; and `ServerOwner` tells
/// whether there may be one on another.
struct PrivateCluster: Sendable {
    let home: FilePath
    let owner: ClusterOwner
    let options: EmbeddedPostgres.Options

    private static let startSeconds = 600
    /// For how long a server that says that it is ready may not answer.
    private static let silenceSeconds = 60

    var data: FilePath { home.appending("data") }
    var socket: ServerSocket { ServerSocket(home: home, data: data, owner: owner) }
    private var log: FilePath { home.appending("postgres.log") }
    private var ownerFile: FilePath { home.appending("owner.json") }
    private var postmasterFile: FilePath { data.appending("postmaster.pid") }

    /// Makes `home` if need be, and finds out to whom it belongs.
    init(home: FilePath, options: EmbeddedPostgres.Options) throws(DatabaseError) {
        self.home = home
        self.options = options
        var status = stat()
        let exists = home.withPlatformString { lstat($0, &status) } == 0
        let isRoot = geteuid() == 0
        var user = geteuid()
        if isRoot {
            user = exists && status.st_uid != 0 ? status.st_uid : try Self.serverUser()
        } else if exists, status.st_uid != user {
            throw .embeddedServer(
                reason:
                    "The database in \(home.displayText) belongs to another user, number \(status.st_uid), and this "
                    + "program runs as number \(user). Use that account, also in containers that share the folder, or "
                    + "set QUIRE_DATA to a directory of your own, or DATABASE_URL to a server.")
        }
        let entry = getpwuid(user)
        let group = entry.map { $0.pointee.pw_gid } ?? (exists ? status.st_gid : getegid())
        owner = ClusterOwner(id: user, group: group, name: entry.map { String(cString: $0.pointee.pw_name) })
        if !exists {
            guard home.withPlatformString({ mkdir($0, 0o700) }) == 0 else { throw Self.failure("make", home) }
        }
        if isRoot, !exists || status.st_uid == 0 {
            let changed = home.withPlatformString { chown($0, user, group) }
            guard changed == 0 else { throw Self.failure("give away", home) }
        }
    }

    // MARK: Starting and stopping

    /// Makes the cluster if there is none, and starts it if it does not run anywhere.
    func start() throws(DatabaseError) -> ServerAddress {
        if try existingVersion() == nil {
            let installation = try ServerInstallation.find(version: nil)
            try checkReach()
            try create(installation, in: "data.new")
            try rename(home.appending("data.new"), data)
        }
        let begun = ContinuousClock.now
        var failures = 0
        while true {
            if let server = try socket.answering() { return server }
            let lock = try serverLock()
            if try lock.tryLock(.exclusive), !ServerProcesses.exist(in: data) {
                if try startServer(lock) { continue }
                failures += 1
                guard failures < 40 else {
                    throw .embeddedServer(reason: "PostgreSQL does not start; see \(log.displayText).")
                }
                usleep(250_000)
            } else {
                // Starting, stopping, or children of a killed one that take a moment to notice.
                try wait(since: begun)
            }
        }
    }

    /// Stops the server if it runs, wherever it was started; sessions that are left are ended.
    func stop() {
        guard let pid = SmallFile.readText(postmasterFile).flatMap({ PostmasterFile.pid(text: $0) }) else { return }
        if isServerHere, let version = try? existingVersion(),
            let installation = try? ServerInstallation.find(version: version)
        {
            _ = try? serverCommand(
                installation.directory.appending("pg_ctl"),
                ["-D", "data", "-m", "fast", "-w", "-t", String(Self.startSeconds), "stop"])
            // pg_ctl waits for the server's lock file to go, which is a moment before the server itself does.
            for _ in 0..<500 where ServerProcesses.isServer(pid, of: data) { usleep(20_000) }
        } else if let server = try? socket.answering() {
            // Its number means something in its own namespace only, so it has to send the signal to itself.
            let connection = try? Connection(connectionString: server.connectionString(database: "postgres"))
            try? connection?.execute(
                script: "COPY (SELECT) TO PROGRAM 'kill -INT $(head -n 1 postmaster.pid)'")
        }
        guard let lock = try? serverLock() else { return }
        for _ in 0..<Self.startSeconds * 50 {
            if (try? lock.tryLock(.exclusive)) != false { break }
            usleep(20_000)
        }
        if postmasterFile.withPlatformString({ access($0, F_OK) }) != 0 {
            _ = ownerFile.withPlatformString { unlink($0) }
        }
        socket.removeLink()
    }

    /// Whether the server is one of this PID namespace.
    var isServerHere: Bool {
        SmallFile.readText(postmasterFile).flatMap { PostmasterFile.pid(text: $0) }
            .map { ServerProcesses.isServer($0, of: data) } ?? false
    }

    /// Held by every process of the server, however it ends.
    func serverLock() throws(DatabaseError) -> FileLock {
        let path = home.appending("server.lock")
        let lock = try FileLock(path)
        try giveAway(path)
        return lock
    }

    /// Forgets who had the data, so that this machine may have them; returns who it was, nil where nobody is on record.
    func takeOver() throws(DatabaseError) -> ServerOwner? {
        guard try socket.answering() == nil else {
            throw .refused(
                reason: "The database in \(home.displayText) runs and answers: there is nothing to take over.")
        }
        let lock = try serverLock()
        guard try lock.lock(.exclusive, seconds: 2), !ServerProcesses.exist(in: data) else {
            throw .refused(
                reason: "A server of this machine, perhaps in another container, still uses the data in "
                    + "\(home.displayText). Stop Quire there first. Nothing was changed.")
        }
        guard let record = ServerOwner.read(ownerFile) else { return nil }
        guard ownerFile.withPlatformString({ unlink($0) }) == 0 else { throw Self.failure("remove", ownerFile) }
        return record
    }

    /// Starts the server, whose lock is held: none of this kernel is left.
    ///
    /// False where it did not start, but may soon.
    private func startServer(_ lock: FileLock) throws(DatabaseError) -> Bool {
        let installation = try ServerInstallation.find(version: try existingVersion())
        try checkReach()
        var record = ServerOwner.here(lockFile: lock.fileNumber)
        try judge(record)
        try removeStaleLocks()
        try writeSettings()
        try write(record)
        let outcome = try withExtendedLifetime(lock) { () throws(DatabaseError) in
            try serverCommand(
                installation.directory.appending("pg_ctl"),
                ["-D", "data", "-l", "postgres.log", "-w", "-t", String(Self.startSeconds), "start"],
                holding: lock)
        }
        guard outcome.status == 0 else {
            let complaint = lastComplaint()
            guard complaint.contains("shared memory block") || ServerProcesses.exist(in: data) else {
                throw .embeddedServer(
                    reason: "PostgreSQL does not start: \(complaint) The whole story is in \(log.displayText).")
            }
            return false
        }
        record.pid = SmallFile.readText(postmasterFile).flatMap { PostmasterFile.pid(text: $0) }
        record.startTicks = record.pid.flatMap { ProcessIdentity.startTicks(of: $0) }
        try write(record)
        return true
    }

    /// Throws where the server that has left its record may still run on another machine.
    private func judge(_ here: ServerOwner) throws(DatabaseError) {
        // None: stopped in order, or never started.
        guard let last = ServerOwner.read(ownerFile) else { return }
        let verdict = last.verdict(here: here, disk: options.disk ?? FileSystemKind.of(data)) { pid, ticks in
            ProcessIdentity.startTicks(of: pid) == ticks
        }
        let who =
            "The database in \(home.displayText) was started on \(last.host) at \(last.since) and not stopped there"
        let command = "quire take-over-database"
        switch verdict {
        case .gone: return
        case .onAnotherMachine:
            throw .embeddedServer(
                reason: "\(who). That machine may still write to it, and two servers would destroy it. Stop Quire on "
                    + "\(last.host). If that machine is gone, or is this one under another name: \(command)")
        case .withoutProof:
            throw .embeddedServer(
                reason:
                    "\(who), perhaps in another container, and \(home.displayText)/server.lock has been replaced since, "
                    + "so nothing tells whether it still runs. Look for its processes (postgres -D data); when there are "
                    + "none: \(command)")
        }
    }

    private func wait(since begun: ContinuousClock.Instant) throws(DatabaseError) {
        usleep(50_000)
        let file = SmallFile.readText(postmasterFile).flatMap { PostmasterFile(text: $0) }
        // A pg_upgrade that was killed has left its server, at a port of its own.
        if let file, file.port != ServerSocket.port, ServerProcesses.isServer(file.pid, of: data),
            !ServerProcesses.exist(in: home, name: "pg_upgrade")
        {
            kill(file.pid, SIGINT)
        }
        let seconds = file?.status == "ready" ? Self.silenceSeconds : Self.startSeconds
        guard ContinuousClock.now - begun > .seconds(seconds) else { return }
        let record = ServerOwner.read(ownerFile)
        let origin = record.map { " It was started on \($0.host) at \($0.since)." } ?? ""
        throw .embeddedServer(
            reason:
                "A server uses the data in \(home.displayText) and has not answered for \(seconds) seconds.\(origin) "
                + "Wait, or stop Quire there; see \(log.displayText). Containers that share the folder must share its "
                + "sockets, as they do on a volume of one machine.")
    }

    /// Removes what a server that is gone has left.
    ///
    /// PostgreSQL itself does so, but not where the process number is in use again, as it soon is in another container. No
    /// server is left, so the numbers in these files are of no one.
    private func removeStaleLocks() throws(DatabaseError) {
        for path in [postmasterFile, socket.lockFile] {
            guard let text = SmallFile.readText(path), let pid = PostmasterFile.pid(text: text),
                kill(pid, 0) == 0 || errno == EPERM
            else { continue }
            guard path.withPlatformString({ unlink($0) }) == 0 else { throw Self.failure("remove", path) }
        }
    }

    // MARK: Making

    /// The version of the cluster's PostgreSQL; nil where there is no cluster yet.
    func existingVersion() throws(DatabaseError) -> Int? {
        guard let text = SmallFile.readText(data.appending("PG_VERSION")) else {
            guard data.withPlatformString({ access($0, F_OK) }) != 0 else {
                throw .embeddedServer(
                    reason: "\(data.displayText) is no PostgreSQL cluster that can be read. Look what it holds; "
                        + "Quire changes nothing there.")
            }
            if let kept = ClusterUpgrade.keptFolders(in: home).last {
                throw .embeddedServer(
                    reason: "\(data.displayText) is missing, and \(kept.displayText) is there, which an upgrade left. "
                        + "Rename it to `data` if it holds your pages. Nothing was changed.")
            }
            return nil
        }
        guard let version = Int(text.filter { $0.isNumber }) else {
            throw .embeddedServer(reason: "\(data.displayText)/PG_VERSION is damaged. Nothing was changed.")
        }
        return version
    }

    /// As root: the server's user must get to the directory.
    func checkReach() throws(DatabaseError) {
        let outcome = try serverCommand("/usr/bin/test", ["-w", "."])
        guard outcome.status == 0 else {
            throw .embeddedServer(
                reason: "The user \(owner.text), as whom PostgreSQL runs, cannot get to \(home.displayText). "
                    + "Set QUIRE_DATA to a directory outside of private folders.")
        }
    }

    /// Makes an empty cluster in a folder below `home`, which must not be in use; what a start that was cut off has left
    /// there goes.
    func create(
        _ installation: ServerInstallation, in name: String, checksums: Bool = true
    ) throws(DatabaseError) {
        _ = try serverCommand("/bin/sh", ["-c", "rm -rf -- \(name) data.new-*"])
        // From 18 on they are the default.
        let sums = checksums ? ["--data-checksums"] : installation.majorVersion >= 18 ? ["--no-data-checksums"] : []
        let outcome = try serverCommand(
            installation.directory.appending("initdb"),
            [
                "-D", name, "-U", "quire", "--auth-local=peer", "--auth-host=reject", "-E", "UTF8", "--no-locale",
            ] + sums + (options.isDurable ? [] : ["--no-sync"]))
        guard outcome.status == 0 else {
            throw .embeddedServer(
                reason: "A database cannot be made in \(home.displayText): \(Self.lastLine(outcome.output))")
        }
        let new = home.appending(name)
        let quoted = "\"" + (owner.name ?? "").split(separator: "\"").joined(separator: "\"\"") + "\""
        try write("local all all peer map=quire\n", to: new.appending("pg_hba.conf"))
        try write("quire root quire\nquire \(quoted) quire\n", to: new.appending("pg_ident.conf"))
        try write("\ninclude_if_exists = 'quire.conf'\n", to: new.appending("postgresql.conf"), appending: true)
    }

    private func writeSettings() throws(DatabaseError) {
        let socket = try socket.setting()
        var settings = """
            # Written by Quire at each start.
            listen_addresses = ''
            unix_socket_directories = '\(socket)'
            unix_socket_permissions = 0700
            port = \(ServerSocket.port)
            max_connections = \(options.connections)
            jit = off
            log_checkpoints = off

            """
        if !options.isDurable { settings += "fsync = off\nfull_page_writes = off\n" }
        let path = data.appending("quire.conf")
        try write(settings, to: path)
        try giveAway(path)
    }

    // MARK: Small things

    /// Runs a program in `home` as the server's user; it and what it starts hold `lock`.
    func serverCommand(
        _ program: FilePath, _ arguments: [String], holding lock: FileLock? = nil
    ) throws(DatabaseError) -> ServerCommand.Outcome {
        guard owner.name != nil else {
            throw .embeddedServer(
                reason: "The user number \(owner.id) has no name on this machine, which PostgreSQL needs. "
                    + "Add it to /etc/passwd, or set DATABASE_URL to a server.")
        }
        var line: [[UInt8]] = [Array("/usr/bin/env".utf8), Array("-C".utf8), home.bytes]
        if geteuid() == 0 {
            let drop = ["setpriv", "--reuid=\(owner.id)", "--regid=\(owner.group)", "--init-groups"]
            line += drop.map { Array($0.utf8) }
        }
        line.append(program.bytes)
        line += arguments.map { Array($0.utf8) }
        let environment = [
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TZ": "UTC",
        ]
        return try ServerCommand(arguments: line, environment: environment, inherited: lock?.descriptor).run()
    }

    /// Root's files are made the server's user's.
    func giveAway(_ path: FilePath) throws(DatabaseError) {
        guard geteuid() == 0 else { return }
        let changed = path.withPlatformString { lchown($0, owner.id, owner.group) }
        guard changed == 0 else { throw Self.failure("give away", path) }
    }

    func rename(_ from: FilePath, _ to: FilePath) throws(DatabaseError) {
        let renamed = from.withPlatformString { from in to.withPlatformString { Glibc.rename(from, $0) } }
        guard renamed == 0 else { throw Self.failure("rename", from) }
    }

    private func write(_ record: ServerOwner) throws(DatabaseError) {
        try record.write(to: ownerFile)
        try giveAway(ownerFile)
    }

    private func write(_ text: String, to path: FilePath, appending: Bool = false) throws(DatabaseError) {
        do throws(Errno) {
            try SmallFile.write(text, to: path, appending: appending)
        } catch {
            throw .embeddedServer(reason: "\(path.displayText) cannot be written: \(error).")
        }
    }

    private func lastComplaint() -> String {
        let lines = (SmallFile.readText(log) ?? "").split(separator: "\n")
        let complaint = lines.suffix(20).last { $0.contains("FATAL:") || $0.contains("PANIC:") } ?? lines.last ?? ""
        return Self.lastLine(String(complaint))
    }

    static func lastLine(_ text: String) -> String {
        let line = text.split(separator: "\n").last.map(String.init) ?? "it gave no reason"
        return line.hasSuffix(".") ? line : line + "."
    }

    private static func serverUser() throws(DatabaseError) -> uid_t {
        guard let entry = getpwnam("postgres") else {
            throw .embeddedServer(
                reason: "PostgreSQL does not run as root, and there is no user `postgres`. "
                    + ServerInstallation.advice)
        }
        return entry.pointee.pw_uid
    }

    static func failure(_ verb: String, _ path: FilePath) -> DatabaseError {
        .embeddedServer(
            reason: "Cannot \(verb) \(path.displayText): \(String(cString: strerror(errno))). "
                + "Set QUIRE_DATA to a directory of your own.")
    }
}
