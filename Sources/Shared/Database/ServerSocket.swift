internal import SystemPackage

#if canImport(Glibc)
    internal import Glibc
#endif

/// Where a private cluster's server was found to answer.
struct ServerAddress: Sendable, Hashable {
    /// As this process reaches it.
    var socketDirectory: String
    var port: Int
    /// The server's main process, in the PID namespace that it was started in.
    var pid: Int32

    func connectionString(database: String) -> String {
        "host=\(ConnectionString.quoted(socketDirectory)) port=\(port) dbname=\(database) user=quire"
    }
}

/// The way to a private cluster's server, from whatever mount and PID namespace.
///
/// The socket lies in the cluster's own folder, so whoever sees that sees the socket; the server is told its place relative
/// to the data directory. Where the path is too long for an address, or holds what libpq would take apart, this process
/// goes by a link in the temporary folder.
struct ServerSocket: Sendable {
    /// The cluster's folder.
    let home: FilePath
    let data: FilePath
    let owner: ClusterOwner

    private static let name = ".s.PGSQL.5432"
    static let port = 5432

    private var folder: FilePath { home.appending("run") }
    /// PostgreSQL's own, with a process number.
    var lockFile: FilePath { folder.appending(Self.name + ".lock") }

    /// What the server is to be told; makes the folder.
    func setting() throws(DatabaseError) -> FilePath {
        try makePrivate(folder)
        var status = stat()
        let isLink = data.withPlatformString { lstat($0, &status) } == 0 && status.st_mode & S_IFMT == S_IFLNK
        // `..` of a folder that lies elsewhere is elsewhere, too.
        return isLink ? try reached() : "../run"
    }

    /// The server that answers and is this cluster's; nil where none does, as while one starts or stops.
    func answering() throws(DatabaseError) -> ServerAddress? {
        let file = SmallFile.readText(data.appending("postmaster.pid")).flatMap { PostmasterFile(text: $0) }
        // An older Quire's server has its socket where its process could reach it.
        if let file, file.socketDirectory.hasPrefix("/"),
            let server = try ask(file.socketDirectory, file.port, file.pid, isElsewhere: true)
        {
            return server
        }
        // ALTER SYSTEM may have given it another port.
        let port = file?.port ?? Self.port
        guard folder.appending(".s.PGSQL.\(port)").withPlatformString({ access($0, F_OK) }) == 0 else { return nil }
        return try ask(try reached().string, port, file?.pid ?? 0, isElsewhere: false)
    }

    /// Takes away the link to the socket's folder.
    func removeLink() {
        guard !isShort, let link = try? linkPath() else { return }
        _ = link.withPlatformString { unlink($0) }
    }

    private func ask(
        _ directory: String, _ port: Int, _ pid: Int32, isElsewhere: Bool
    ) throws(DatabaseError) -> ServerAddress? {
        let server = ServerAddress(socketDirectory: directory, port: port, pid: pid)
        let address = server.connectionString(database: "postgres")
        guard Connection.isAnswered(connectionString: address) else { return nil }
        do throws(DatabaseError) {
            let connection = try Connection(connectionString: address)
            let rows = try connection.query(
                "SELECT system_identifier::text, current_setting('data_directory') FROM pg_control_system()")
            guard var row = rows.first else { return nil }
            let identifier = try row.text()
            let place = FilePath(try row.text())
            guard let own = systemIdentifier(), identifier == "\(own)" else { return nil }
            // A copy of the folder has the same identifier and may still name the original's socket.
            return isElsewhere && !isSameFolder(place) ? nil : server
        } catch .connectionLost(let reason) {
            // It has just begun to stop; but one that does not know this user will go on saying so.
            guard reason.contains("authentication failed") else { return nil }
            throw .embeddedServer(
                reason:
                    "The database in \(home.displayText) runs, started from another container or by another user, and "
                    + "does not let user number \(geteuid()) in. Use it as user number \(owner.id), as which it runs, or "
                    + "as root.")
        }
    }

    /// The cluster's own number, which initdb has drawn: the first field of pg_control.
    private func systemIdentifier() -> Int64? {
        guard let bytes = SmallFile.read(data.appending("global/pg_control")), bytes.count > 8 else { return nil }
        return bytes.withUnsafeBytes { Int64(bitPattern: $0.loadUnaligned(as: UInt64.self)) }
    }

    private func isSameFolder(_ other: FilePath) -> Bool {
        var (one, two) = (stat(), stat())
        return data.withPlatformString { stat($0, &one) } == 0 && other.withPlatformString { stat($0, &two) } == 0
            && one.st_dev == two.st_dev && one.st_ino == two.st_ino
    }

    // MARK: The folder, as this process names it

    /// Addresses of sockets have room for 107 bytes.
    private var isShort: Bool {
        folder.length + 1 + Self.name.utf8.count <= 106
            && folder.bytes.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                    || (UInt8(ascii: "-")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "_")
            }
    }

    /// The socket's folder under a name that fits into an address.
    func reached() throws(DatabaseError) -> FilePath {
        if isShort { return folder }
        let link = try linkPath()
        var target = [CChar](repeating: 0, count: 4097)
        let length = link.withPlatformString { readlink($0, &target, target.count - 1) }
        if length > 0, target.prefix(length).map({ UInt8(bitPattern: $0) }) == folder.bytes { return link }
        // A link to where the cluster was before, or an older Quire's folder.
        for path in [link.appending(Self.name), link.appending(Self.name + ".lock"), link] {
            _ = path.withPlatformString { unlink($0) }
        }
        _ = link.withPlatformString { rmdir($0) }
        let made = folder.withPlatformString { folder in link.withPlatformString { symlink(folder, $0) } }
        guard made == 0 else { throw PrivateCluster.failure("make", link) }
        if geteuid() == 0 { _ = link.withPlatformString { lchown($0, owner.id, owner.group) } }
        return link
    }

    private func linkPath() throws(DatabaseError) -> FilePath {
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
        return base.appending(String(hash, radix: 16))
    }

    private func makePrivate(_ directory: FilePath) throws(DatabaseError) {
        if directory.withPlatformString({ mkdir($0, 0o700) }) == 0 {
            if geteuid() == 0 { _ = directory.withPlatformString { lchown($0, owner.id, owner.group) } }
        } else if errno != EEXIST {
            throw PrivateCluster.failure("make", directory)
        }
        var status = stat()
        guard directory.withPlatformString({ lstat($0, &status) }) == 0, status.st_mode & S_IFMT == S_IFDIR,
            status.st_uid == owner.id, status.st_mode & 0o022 == 0
        else {
            throw .embeddedServer(
                reason:
                    "\(directory.displayText), where the database's socket should lie, is not a private directory of "
                    + "\(owner.text). Remove it.")
        }
    }
}
