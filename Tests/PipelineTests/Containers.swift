import Glibc
import Shared
import SystemPackage
import TestSupport

/// Namespaces in the place of containers: each with processes, IPC, mounts and a host name of its own, all with one folder.
final class Containers: Sendable {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory(prefix: "quire-containers", isWatched: true) }

    /// Whether this machine lets this user make them.
    static let arePossible: Bool = {
        guard geteuid() == 0 else { return false }
        return system("unshare --pid --fork --mount-proc --ipc --uts --mount true 2>/dev/null") == 0
    }()

    var home: FilePath { directory.path.appending("data") }
    var archive: FilePath { directory.path.appending("archive") }
    var out: FilePath { directory.path.appending("out") }
    private var data: FilePath { home.appending("cluster/data") }

    private var environment: [String: String?] {
        [
            "DATABASE_URL": nil, "QUIRE_CONFIG": nil, "QUIRE_MODEL": Workspace.nano.string, "QUIRE_ROOTS": nil,
            "QUIRE_DATA": home.string, "HOME": directory.path.string, "QUIRE_THREADS": nil, "QUIRE_WORKERS": nil,
            "XDG_CACHE_HOME": directory.path.appending("cache").string, "QUIRE_PRECISION": nil, "QUIRE_MEMORY": nil,
        ]
    }

    /// Copies folders of the samples into the archive.
    func copySamples(_ names: String...) async throws {
        for name in names {
            let script = "mkdir -p \"$2\" && cp -r \"$1\" \"$2\""
            _ = try await RunningProgram.run(
                "sh", ["-c", script, "sh", Workspace.samples.appending(name).string, archive.string])
        }
    }

    /// Starts `quire` as the first process of a container, or of this machine where `host` is nil.
    func start(in host: String?, _ arguments: String...) throws -> RunningProgram {
        let quire = RunningProgram.product("quire").string
        guard let host else { return try RunningProgram(FilePath(quire), arguments, environment: environment) }
        let script = "hostname \"$0\"; exec \"$@\""
        return try RunningProgram(
            "unshare",
            [
                "--pid", "--fork", "--kill-child", "--mount-proc", "--ipc", "--uts", "--mount", "sh", "-c", script,
                host, quire,
            ]
                + arguments, environment: environment)
    }

    /// Starts the whole job.
    func run(in host: String?, memory: String = "1M") throws -> RunningProgram {
        // Little memory, so that few pages are in hand at once and there is a middle.
        try start(in: host, "run", archive.string, "--out", out.string, "--threads", "1", "--memory", memory)
    }

    /// The servers' main processes on the data, in whatever container.
    func servers() -> [Int32] {
        var wanted = stat()
        guard data.withPlatformString({ stat($0, &wanted) }) == 0, let processes = opendir("/proc") else { return [] }
        defer { closedir(processes) }
        var parents: [Int32: Int32] = [:]
        while let entry = readdir(processes) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            var status = stat()
            guard let pid = Int32(name), stat("/proc/\(pid)/cwd", &status) == 0, status.st_ino == wanted.st_ino,
                status.st_dev == wanted.st_dev
            else { continue }
            // Its children call themselves otherwise, but for the first moment.
            let line = directory.text(of: FilePath("/proc/\(pid)/cmdline")).split(separator: "\0")
            guard line.first?.hasSuffix("/postgres") == true, line.contains("-D") else { continue }
            let fields = directory.text(of: FilePath("/proc/\(pid)/stat")).split(separator: " ")
            parents[pid] = fields.count > 3 ? Int32(fields[3]) ?? 0 : 0
        }
        return parents.filter { parents[$0.value] == nil }.map(\.key)
    }

    /// Runs `body` and looks for servers every few milliseconds meanwhile; the most that there were at once.
    func mostServers(during body: () async throws -> Void) async throws -> Int {
        try await withThrowingTaskGroup(of: Int.self) { group in
            group.addTask {
                var most = 0
                while !Task.isCancelled {
                    var found = Set(self.servers())
                    if found.count > 1 {
                        // A child that has lost its parent before it had a name of its own ends at once.
                        try? await Task.sleep(for: .milliseconds(100))
                        found.formIntersection(self.servers())
                    }
                    most = max(most, found.count)
                    try? await Task.sleep(for: .milliseconds(15))
                }
                return most
            }
            try await body()
            group.cancelAll()
            return try await group.next() ?? 0
        }
    }

    /// The first process of a container, by its number on this machine.
    func firstProcess(of container: RunningProgram) -> Int32? {
        let file = FilePath("/proc/\(container.pid)/task/\(container.pid)/children")
        return directory.text(of: file).split(separator: " ").first.flatMap { Int32($0) }
    }

    /// What is recorded now, by document and page: the lease's token.
    func recorded(_ database: Database) async throws -> [String: Int64] {
        var tokens: [String: Int64] = [:]
        for var row in try await database.query("SELECT document_id || ':' || page_no, token FROM quire.page") {
            tokens[try row.text()] = try row.int64()
        }
        return tokens
    }

    /// Opens the database as one more user, on this machine.
    func open() async throws -> DatabaseSession {
        try await DatabaseSession.open(DatabaseSettings(environment: ["QUIRE_DATA": home.string]))
    }

    /// Waits until the batch has so many pages recorded; false when it does not.
    func wait(for pages: Int, _ session: DatabaseSession) async throws -> Bool {
        for _ in 0..<3000 {
            let status = try await session.queue.status(batch: nil).first
            if let status, status.pages.done + status.pages.blank >= pages { return true }
            try await Task.sleep(for: .milliseconds(50))
        }
        return false
    }
}
