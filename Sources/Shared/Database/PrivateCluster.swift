internal import SystemPackage

#if canImport(Glibc)
    internal import Glibc
#endif

/// The files and the server of one private cluster; everything blocks, and the caller holds the start lock.
///
/// Below `home`: `data` (the cluster), `run` (the socket, where its path is short enough), `postgres.log`. All of it
/// belongs to the user as whom the server runs: this one, or `postgres` where this one is root.
struct PrivateCluster: Sendable {
    let home: FilePath
    /// As whom the server runs.
    let owner: (id: uid_t, group: gid_t, name: String)
    let options: EmbeddedPostgres.Options

    private static let startSeconds = 600

    var data: FilePath { home.appending("data") }
    private var log: FilePath { home.appending("postgres.log") }

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
                reason: "The database in \(home.displayText) belongs to another user. Use that account, or set "
                    + "QUIRE_DATA to a directory of your own, or DATABASE_URL to a server.")
        }
        guard let entry = getpwuid(user) else {
            throw .embeddedServer(
                reason: "The user number \(user) has no name on this machine, which PostgreSQL needs. "
                    + "Add it to /etc/passwd, or set DATABASE_URL to a server.")
        }
        owner = (user, entry.pointee.pw_gid, String(cString: entry.pointee.pw_name))
        if !exists {
            guard home.withPlatformString({ mkdir($0, 0o700) }) == 0 else { throw Self.failure("make", home) }
        }
        if isRoot, !exists || status.st_uid == 0 {
            let changed = home.withPlatformString { chown($0, user, entry.pointee.pw_gid) }
            guard changed == 0 else { throw Self.failure("give away", home) }
        }
    }

    /// Makes the cluster if there is none, and starts it if it does not run.
    func start() throws(DatabaseError) -> PostmasterFile {
        let version = try existingVersion()
        let installation = try ServerInstallation.find(version: version)
        try checkReach()
        if version == nil { try create(installation) }
        for _ in 0..<40 {
            if let running = try waitForRunning() { return running }
            try removeStaleLocks()
            try writeSettings()
            let outcome = try serverCommand(
                installation.directory.appending("pg_ctl"),
                ["-D", "data", "-l", "postgres.log", "-w", "-t", String(Self.startSeconds), "start"])
            if outcome.status == 0 { continue }
            let complaint = lastComplaint()
            // Children of a server that was killed take a moment to notice.
            guard complaint.contains("shared memory block") || ServerProcesses.exist(in: data) else {
                throw .embeddedServer(
                    reason: "PostgreSQL does not start: \(complaint) The whole story is in \(log.displayText).")
            }
            usleep(250_000)
        }
        throw .embeddedServer(reason: "PostgreSQL does not start; see \(log.displayText).")
    }

    /// Stops the server if it runs; sessions that are left are ended.
    func stop() {
        guard let text = SmallFile.readText(data.appending("postmaster.pid")),
            let pid = PostmasterFile.pid(text: text), ServerProcesses.isServer(pid, of: data),
            let version = try? existingVersion(), let installation = try? ServerInstallation.find(version: version)
        else { return }
        _ = try? serverCommand(
            installation.directory.appending("pg_ctl"),
            ["-D", "data", "-m", "fast", "-w", "-t", String(Self.startSeconds), "stop"])
        // pg_ctl waits for the server's lock file to go, which is a moment before the server itself does.
        for _ in 0..<500 where ServerProcesses.isServer(pid, of: data) { usleep(20_000) }
        // Empty now; it may lie outside of `home`.
        if let file = PostmasterFile(text: text) { rmdir(file.socketDirectory) }
    }

    /// The server's own account of itself once it is ready; nil where none runs.
    private func waitForRunning() throws(DatabaseError) -> PostmasterFile? {
        for _ in 0..<Self.startSeconds * 20 {
            guard let text = SmallFile.readText(data.appending("postmaster.pid")),
                let pid = PostmasterFile.pid(text: text), ServerProcesses.isServer(pid, of: data)
            else { return nil }
            if let file = PostmasterFile(text: text), file.status == "ready" { return file }
            usleep(50_000)
        }
        throw .embeddedServer(
            reason: "PostgreSQL has not become ready within \(Self.startSeconds) seconds; see \(log.displayText).")
    }

    /// PostgreSQL itself removes the lock files of a process that is gone, but not where its number is in use again, if
    /// only by a dead child that nobody has waited for.
    private func removeStaleLocks() throws(DatabaseError) {
        guard !ServerProcesses.exist(in: data) else { return }
        for path in [data.appending("postmaster.pid"), try socketDirectory().appending(".s.PGSQL.5432.lock")] {
            guard let text = SmallFile.readText(path), let pid = PostmasterFile.pid(text: text),
                kill(pid, 0) == 0 || errno == EPERM
            else { continue }
            guard path.withPlatformString({ unlink($0) }) == 0 else { throw Self.failure("remove", path) }
        }
    }

    private func existingVersion() throws(DatabaseError) -> Int? {
        guard let text = SmallFile.readText(data.appending("PG_VERSION")) else {
            guard data.withPlatformString({ access($0, F_OK) }) != 0 else {
                throw .embeddedServer(
                    reason: "\(data.displayText) is no PostgreSQL cluster that can be read. Look what it holds; "
                        + "Quire changes nothing there.")
            }
            return nil
        }
        guard let version = Int(text.filter { $0.isNumber }) else {
            throw .embeddedServer(reason: "\(data.displayText)/PG_VERSION is damaged. Nothing was changed.")
        }
        return version
    }

    /// As root: the server's user must get to the directory.
    private func checkReach() throws(DatabaseError) {
        let outcome = try serverCommand("/usr/bin/test", ["-w", "."])
        guard outcome.status == 0 else {
            throw .embeddedServer(
                reason: "The user \(owner.name), as whom PostgreSQL runs, cannot get to \(home.displayText). "
                    + "Set QUIRE_DATA to a directory outside of private folders.")
        }
    }

    private func create(_ installation: ServerInstallation) throws(DatabaseError) {
        let name = "data.new-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        // Left from starts that were cut off; only this lock's holder makes them.
        _ = try serverCommand("/bin/sh", ["-c", "rm -rf -- data.new-*"])
        let outcome = try serverCommand(
            installation.directory.appending("initdb"),
            [
                "-D", name, "-U", "quire", "--auth-local=peer", "--auth-host=reject", "-E", "UTF8", "--no-locale",
                "--data-checksums",
            ] + (options.isDurable ? [] : ["--no-sync"]))
        guard outcome.status == 0 else {
            throw .embeddedServer(
                reason: "A database cannot be made in \(home.displayText): \(Self.lastLine(outcome.output))")
        }
        let new = home.appending(name)
        let quoted = "\"" + owner.name.split(separator: "\"").joined(separator: "\"\"") + "\""
        try write("local all all peer map=quire\n", to: new.appending("pg_hba.conf"))
        try write("quire root quire\nquire \(quoted) quire\n", to: new.appending("pg_ident.conf"))
        try write("\ninclude_if_exists = 'quire.conf'\n", to: new.appending("postgresql.conf"), appending: true)
        let renamed = new.withPlatformString { from in data.withPlatformString { rename(from, $0) } }
        guard renamed == 0 else { throw Self.failure("rename", new) }
    }

    private func writeSettings() throws(DatabaseError) {
        let socket = try socketDirectory()
        var settings = """
            # Written by Quire at each start.
            listen_addresses = ''
            unix_socket_directories = '\(socket)'
            unix_socket_permissions = 0700
            port = 5432
            max_connections = \(options.connections)
            jit = off
            log_checkpoints = off

            """
        if !options.isDurable { settings += "fsync = off\nfull_page_writes = off\n" }
        let path = data.appending("quire.conf")
        try write(settings, to: path)
        if geteuid() == 0 { _ = path.withPlatformString { chown($0, owner.id, owner.group) } }
    }

    /// A directory whose sockets' paths fit into 107 bytes and need no quoting.
    private func socketDirectory() throws(DatabaseError) -> FilePath {
        let own = home.appending("run")
        let isPlain = own.bytes.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                || (UInt8(ascii: "-")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "_")
        }
        if isPlain, own.length + "/.s.PGSQL.5432".utf8.count <= 106 {
            try makePrivate(own)
            return own
        }
        // FNV-1a: one name for one home.
        let hash = home.bytes.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        var base = FilePath("/tmp")
        if geteuid() == owner.id, let runtime = getenv("XDG_RUNTIME_DIR").map({ String(cString: $0) }),
            runtime.hasPrefix("/"), runtime.utf8.count < 60
        {
            base = FilePath(runtime)
        }
        base.append("quire-\(owner.id)")
        try makePrivate(base)
        let directory = base.appending(String(hash, radix: 16))
        try makePrivate(directory)
        return directory
    }

    private func makePrivate(_ directory: FilePath) throws(DatabaseError) {
        if directory.withPlatformString({ mkdir($0, 0o700) }) == 0 {
            if geteuid() == 0 { _ = directory.withPlatformString { lchown($0, owner.id, owner.group) } }
        } else if errno != EEXIST {
            throw Self.failure("make", directory)
        }
        var status = stat()
        guard directory.withPlatformString({ lstat($0, &status) }) == 0, status.st_mode & S_IFMT == S_IFDIR,
            status.st_uid == owner.id, status.st_mode & 0o022 == 0
        else {
            throw .embeddedServer(
                reason:
                    "\(directory.displayText), where the database's socket should lie, is not a private directory of "
                    + "\(owner.name). Remove it.")
        }
    }

    /// Runs a program in `home` as the server's user.
    private func serverCommand(
        _ program: FilePath, _ arguments: [String]
    ) throws(DatabaseError) -> ServerCommand.Outcome {
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
        return try ServerCommand(arguments: line, environment: environment).run()
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

    private static func lastLine(_ text: String) -> String {
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

    private static func failure(_ verb: String, _ path: FilePath) -> DatabaseError {
        .embeddedServer(
            reason: "Cannot \(verb) \(path.displayText): \(String(cString: strerror(errno))). "
                + "Set QUIRE_DATA to a directory of your own.")
    }
}
