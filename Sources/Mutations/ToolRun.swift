private import Dispatch
private import Glibc
package import SystemPackage

/// One run of a tool that something is compared with: how it ended, what it said, its time and its peak memory.
package struct ToolRun: Sendable {
    /// The exit code; 128 + N where signal N ended it.
    package let status: Int32
    package let output: [UInt8]
    package let errors: String
    package let seconds: Double
    /// The most memory that was resident, bytes.
    package let peakBytes: Int
    /// Whether it was killed for its time.
    package let wasLate: Bool

    /// Runs a tool found in PATH; nil where it cannot be started.
    ///
    /// It is killed after `seconds`. Output goes to files in a folder that exists: a tool that says much never waits.
    package static func run(
        _ tool: String, _ arguments: [String], in folder: FilePath, within seconds: Double = 60
    ) -> ToolRun? {
        let (out, err) = (folder.appending("tool-output"), folder.appending("tool-errors"))
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, out.string, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, err.string, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        let words = ([tool] + arguments).map { strdup($0) } + [nil]
        defer { words.forEach { free($0) } }
        var pid: pid_t = -1
        let start = DispatchTime.now().uptimeNanoseconds
        guard posix_spawnp(&pid, tool, &actions, nil, words, environ) == 0 else { return nil }
        var (status, usage, wasLate): (Int32, rusage, Bool) = (0, rusage(), false)
        func elapsed() -> Double { Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9 }
        while wait4(pid, &status, WNOHANG, &usage) == 0 {
            if elapsed() > seconds, !wasLate {
                wasLate = true
                kill(pid, SIGKILL)
            }
            usleep(elapsed() < 0.2 ? 1000 : 10_000)
        }
        let taken = elapsed()
        let signal = status & 0x7F
        return ToolRun(
            status: signal == 0 ? status >> 8 & 0xFF : 128 + signal, output: bytes(of: out) ?? [],
            errors: String(decoding: bytes(of: err) ?? [], as: UTF8.self), seconds: taken,
            peakBytes: usage.ru_maxrss * 1024, wasLate: wasLate)
    }

    /// All of a file; nil where it cannot be read.
    package static func bytes(of path: FilePath) -> [UInt8]? {
        guard let file = try? FileDescriptor.open(path, .readOnly, options: .closeOnExec) else { return nil }
        defer { try? file.close() }
        guard let end = try? file.seek(offset: 0, from: .end), (try? file.seek(offset: 0, from: .start)) != nil else {
            return nil
        }
        var bytes = [UInt8](repeating: 0, count: Int(end))
        var filled = 0
        while filled < bytes.count {
            let count = bytes[filled...].withUnsafeMutableBytes { (try? file.read(into: $0)) ?? 0 }
            guard count > 0 else { return Array(bytes.prefix(filled)) }
            filled += count
        }
        return bytes
    }

    /// Writes a file anew.
    package static func write(_ bytes: [UInt8], to path: FilePath) throws {
        let file = try FileDescriptor.open(
            path, .writeOnly, options: [.create, .truncate, .closeOnExec], permissions: .ownerReadWrite)
        try file.closeAfter { _ = try file.writeAll(bytes) }
    }
}
