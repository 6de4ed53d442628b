import Glibc
import Shared
import SystemPackage

/// One run of `quire`: its time, its peak memory, what it printed, and how it ended.
struct SubmissionRun {
    let seconds: Double
    /// The most memory that was resident, bytes (VmHWM).
    let peakBytes: Int
    let output: String
    /// As waitpid(2) gives it: 0 after success, 9 where SIGKILL ended it.
    let status: Int32

    /// Runs the program; kills it with SIGKILL as soon as `isDue` holds.
    ///
    /// The memory is read every 20 ms and is a mark that only rises: what a program took in its last moment may be missing.
    static func run(
        _ program: FilePath, _ arguments: [String], environment: [String], log: FilePath,
        killWhen isDue: () async throws -> Bool = { false }
    ) async throws -> SubmissionRun {
        let clock = ContinuousClock()
        let start = clock.now
        let pid = try spawn(program, ["quire"] + arguments, environment, log)
        var peak = 0
        var status: Int32 = 0
        do {
            while waitpid(pid, &status, WNOHANG) == 0 {
                peak = max(peak, peakBytes(pid) ?? 0)
                if try await isDue() { kill(pid, SIGKILL) }
                try await Task.sleep(for: .milliseconds(20))
            }
        } catch {
            kill(pid, SIGKILL)
            waitpid(pid, &status, 0)
            throw error
        }
        return SubmissionRun(
            seconds: (clock.now - start) / .seconds(1), peakBytes: peak, output: try text(of: log), status: status)
    }

    /// The `quire` of the same build.
    static func program() throws -> FilePath {
        var path = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        guard readlink("/proc/self/exe", &path, path.count - 1) > 0 else { throw Errno(rawValue: errno) }
        return FilePath(platformString: path).removingLastComponent().appending("quire")
    }

    /// This program's variables, but for the database and Quire's own settings, and `others`.
    static func environment(_ others: [String]) -> [String] {
        var variables: [String] = []
        var place = environ
        while let variable = place.pointee {
            let text = String(cString: variable)
            if !["PG", "DATABASE_URL=", "QUIRE_"].contains(where: { text.hasPrefix($0) }) { variables.append(text) }
            place += 1
        }
        return variables + others
    }

    private static func spawn(
        _ program: FilePath, _ arguments: [String], _ environment: [String], _ log: FilePath
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, log.string, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        let words = arguments.map { strdup($0) } + [nil]
        let variables = environment.map { strdup($0) } + [nil]
        defer { (words + variables).forEach { free($0) } }
        var pid: pid_t = -1
        let failure = posix_spawn(&pid, program.string, &actions, nil, words, variables)
        guard failure == 0 else {
            throw QueueProblem(reason: "\(program) cannot be started (\(Errno(rawValue: failure))): build it first.")
        }
        return pid
    }

    private static func peakBytes(_ pid: pid_t) -> Int? {
        guard let status = try? text(of: FilePath("/proc/\(pid)/status")),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
            let kilobytes = line.split(whereSeparator: { " \t".contains($0) }).dropFirst().first.flatMap({ Int($0) })
        else { return nil }
        return kilobytes * 1024
    }

    private static func text(of path: FilePath) throws -> String {
        let file = try FileDescriptor.open(path, .readOnly, options: .closeOnExec)
        return try file.closeAfter {
            var bytes: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 16_384)
            while true {
                let count = try buffer.withUnsafeMutableBytes { try file.read(into: $0) }
                if count == 0 { return String(decoding: bytes, as: UTF8.self) }
                bytes += buffer.prefix(count)
            }
        }
    }
}
