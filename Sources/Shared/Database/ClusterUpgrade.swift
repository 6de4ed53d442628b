private import CProcess
internal import SystemPackage

#if canImport(Glibc)
    private import Glibc
#endif

/// Moves a private cluster to another major version of PostgreSQL by its pg_upgrade; blocks.
///
/// The data are copied into a new folder, which takes the old one's place in one step when it is whole; the old one stays
/// under a dated name. Whatever interrupts it, before that step nothing has changed. The caller holds the start lock and
/// `users.lock` alone.
struct ClusterUpgrade: Sendable {
    struct Outcome: Sendable {
        var oldVersion: Int
        var newVersion: Int
        /// Where the old data are.
        var kept: FilePath
    }

    let cluster: PrivateCluster
    /// The programs to go to.
    let target: ServerInstallation

    private static let workName = "data.upgrade"
    private static let keptPrefix = "data.postgresql-"

    private var work: FilePath { cluster.home.appending(Self.workName) }

    /// Old data that upgrades have left, the youngest last.
    static func keptFolders(in home: FilePath) -> [FilePath] {
        let names = ((try? FolderListing.names(in: home)) ?? []).map(\.string).filter { $0.hasPrefix(keptPrefix) }
        // Dates in the names come after versions of the same number of digits.
        return names.sorted().map { home.appending($0) }
    }

    /// `tell` is called with each step, in a sentence.
    func run(tell: (String) -> Void) throws(DatabaseError) -> Outcome {
        guard let version = try cluster.existingVersion() else {
            throw .refused(reason: "There is no database in \(cluster.home.displayText) yet: nothing was changed.")
        }
        let source = try ServerInstallation.find(version: version)
        try checkPrograms(version)
        let data = try dataSize()
        try checkSpace(data)
        // A server that was killed leaves changes that only it can take in; and whoever left one running is gone.
        tell("Stopping PostgreSQL \(version) in order.")
        _ = try cluster.start()
        cluster.stop()
        let lock = try cluster.serverLock()
        guard try lock.lock(.exclusive, seconds: 2) else {
            throw .refused(reason: "PostgreSQL \(version) does not stop. Nothing was changed.")
        }
        tell("Copying \(Self.text(data)) into a cluster of PostgreSQL \(target.majorVersion).")
        try cluster.create(target, in: Self.workName, checksums: try hasChecksums(source))
        try copy(from: source, holding: lock)
        try keepSettings()
        let kept = cluster.home.appending(Self.keptPrefix + "\(version).\(Self.timestamp())")
        try swap(kept)
        // The server takes the lock from here on.
        lock.unlock()
        do throws(DatabaseError) {
            tell("Starting PostgreSQL \(target.majorVersion) and counting its rows for the planner.")
            try analyze()
        } catch {
            cluster.stop()
            try swapBack(kept)
            throw .embeddedServer(
                reason:
                    "PostgreSQL \(target.majorVersion) does not work with the data, so those of PostgreSQL \(version) are "
                    + "in their place again; the new ones are in \(work.displayText). \(error)")
        }
        return Outcome(oldVersion: version, newVersion: target.majorVersion, kept: kept)
    }

    private func checkPrograms(_ version: Int) throws(DatabaseError) {
        guard target.majorVersion >= version else {
            throw .refused(
                reason: "The database is of PostgreSQL \(version) and cannot go back to \(target.majorVersion). "
                    + "Nothing was changed.")
        }
        let program = target.directory.appending("pg_upgrade")
        guard program.withPlatformString({ access($0, X_OK) }) == 0 else {
            throw .embeddedServer(
                reason: "\(program.displayText) is missing: install all of PostgreSQL \(target.majorVersion)'s server. "
                    + "Nothing was changed.")
        }
        // It has to be found at every later start.
        _ = try ServerInstallation.find(version: target.majorVersion)
    }

    private func dataSize() throws(DatabaseError) -> Int {
        let outcome = try cluster.serverCommand("/usr/bin/du", ["-sk", "data/"])
        guard let kilobytes = outcome.output.split(whereSeparator: { $0.isWhitespace }).first.flatMap({ Int($0) })
        else {
            throw .embeddedServer(
                reason: "The size of \(cluster.data.displayText) cannot be found: "
                    + PrivateCluster.lastLine(outcome.output))
        }
        return kilobytes * 1024
    }

    private func checkSpace(_ data: Int) throws(DatabaseError) {
        // What a new cluster has by itself, and room to go on.
        let wanted = data + data / 10 + 200_000_000
        var system = statvfs()
        guard cluster.home.withPlatformString({ statvfs($0, &system) }) == 0 else { return }
        let free = Int(system.f_bavail) * Int(system.f_frsize)
        guard free >= wanted else {
            throw .refused(
                reason: "The upgrade copies the database and wants \(Self.text(wanted)); there are "
                    + "\(Self.text(free)) free in \(cluster.home.displayText). Make room. Nothing was changed.")
        }
    }

    private func hasChecksums(_ source: ServerInstallation) throws(DatabaseError) -> Bool {
        let outcome = try cluster.serverCommand(source.directory.appending("pg_controldata"), ["-D", "data"])
        guard outcome.status == 0 else {
            throw .embeddedServer(
                reason: "\(cluster.data.displayText) cannot be looked at: \(PrivateCluster.lastLine(outcome.output))")
        }
        let line = outcome.output.split(separator: "\n").first { $0.hasPrefix("Data page checksum version:") }
        return line?.hasSuffix(" 0") == false
    }

    private func copy(from source: ServerInstallation, holding lock: FileLock) throws(DatabaseError) {
        _ = try cluster.socket.setting()
        let outcome = try cluster.serverCommand(
            target.directory.appending("pg_upgrade"),
            [
                "-b", source.directory.string, "-B", target.directory.string, "-d", "data", "-D", Self.workName,
                "-U", "quire", "-s", try cluster.socket.reached().string,
            ], holding: lock)
        _ = cluster.home.appending("delete_old_cluster.sh").withPlatformString { unlink($0) }
        guard outcome.status == 0 else {
            let words = outcome.output.split(separator: "\n").suffix(6).joined(separator: " ")
            throw .embeddedServer(
                reason: "pg_upgrade has failed, and the old database is as it was. It said: \(words) Its logs are in "
                    + "\(work.displayText).")
        }
    }

    /// Who may connect, and what ALTER SYSTEM has set.
    private func keepSettings() throws(DatabaseError) {
        let outcome = try cluster.serverCommand(
            "/bin/cp", ["data/pg_hba.conf", "data/pg_ident.conf", "data/postgresql.auto.conf", Self.workName])
        guard outcome.status == 0 else {
            throw .embeddedServer(
                reason: "The old database's settings cannot be copied: \(PrivateCluster.lastLine(outcome.output)) "
                    + "Nothing was changed.")
        }
    }

    /// Puts the new data in the place of the old ones, and these under the name `kept`.
    private func swap(_ kept: FilePath) throws(DatabaseError) {
        try cluster.rename(work, kept)
        if exchange(kept, cluster.data) { return sync() }
        // A file system that cannot do it in one step; should it end in between, a start says what to do.
        try cluster.rename(kept, work)
        try cluster.rename(cluster.data, kept)
        try cluster.rename(work, cluster.data)
        sync()
    }

    private func swapBack(_ kept: FilePath) throws(DatabaseError) {
        if !exchange(kept, cluster.data) {
            try cluster.rename(cluster.data, work)
            try cluster.rename(kept, cluster.data)
        } else {
            try cluster.rename(kept, work)
        }
        sync()
    }

    private func exchange(_ one: FilePath, _ other: FilePath) -> Bool {
        one.withPlatformString { one in other.withPlatformString { quire_exchange(one, $0) == 0 } }
    }

    private func sync() {
        guard let folder = try? FileDescriptor.open(cluster.home, .readOnly, options: .closeOnExec) else { return }
        _ = fsync(folder.rawValue)
        try? folder.close()
    }

    private func analyze() throws(DatabaseError) {
        let server = try cluster.start()
        let connection = try Connection(connectionString: server.connectionString(database: "quire"))
        try connection.execute(script: "ANALYZE")
    }

    private static func text(_ bytes: Int) -> String { "\((bytes + 999_999) / 1_000_000) MB" }

    /// Such as `20261130T155201Z`.
    private static func timestamp() -> String {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        let digits = { (value: Int32, count: Int) in
            let text = String(value)
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        return digits(parts.tm_year + 1900, 4) + digits(parts.tm_mon + 1, 2) + digits(parts.tm_mday, 2) + "T"
            + digits(parts.tm_hour, 2) + digits(parts.tm_min, 2) + digits(parts.tm_sec, 2) + "Z"
    }
}
