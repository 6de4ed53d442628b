internal import SystemPackage

#if canImport(Glibc)
    internal import Glibc
#endif

/// What a running server says of itself in postmaster.pid (PostgreSQL, src/include/utils/pidfile.h).
struct PostmasterFile: Sendable, Hashable {
    var pid: pid_t
    var port: Int
    var socketDirectory: String
    /// `starting`, `ready`, `stopping` or `standby`.
    var status: String

    /// Nil where a line is missing, as while a server is just starting.
    init?(text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.split(separator: " ").joined(separator: " ")
        }
        guard lines.count >= 8, let pid = pid_t(lines[0]), pid > 0, let port = Int(lines[3]) else { return nil }
        self.pid = pid
        self.port = port
        socketDirectory = lines[4]
        status = lines[7]
    }

    /// The process id alone, which stands there from the start.
    static func pid(text: String) -> pid_t? {
        text.split(separator: "\n").first.flatMap { pid_t($0) }.flatMap { $0 > 0 ? $0 : nil }
    }
}

/// Looks at processes by their working directory, which for all of a server's is the data directory.
enum ServerProcesses {
    /// False if there is no such process, or it is another program that came by the same number.
    static func isServer(_ pid: pid_t, of dataDirectory: FilePath) -> Bool {
        guard kill(pid, 0) == 0 || errno == EPERM else { return false }
        guard let directory = workingDirectory(of: pid) else { return errno != ENOENT && errno != ESRCH }
        return directory == resolved(dataDirectory)
    }

    /// Servers' processes that are left, as when the main process was killed alone.
    static func exist(in dataDirectory: FilePath) -> Bool {
        let wanted = resolved(dataDirectory)
        guard let processes = opendir("/proc") else { return false }
        defer { closedir(processes) }
        while let entry = readdir(processes) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let pid = pid_t(name), workingDirectory(of: pid) == wanted { return true }
        }
        return false
    }

    private static func workingDirectory(of pid: pid_t) -> FilePath? {
        var buffer = [CChar](repeating: 0, count: 4097)
        let count = readlink("/proc/\(pid)/cwd", &buffer, buffer.count - 1)
        guard count >= 0 else { return nil }
        return FilePath(bytes: buffer.prefix(count).map { UInt8(bitPattern: $0) })
    }

    private static func resolved(_ path: FilePath) -> FilePath {
        path.withPlatformString { start in
            guard let real = realpath(start, nil) else { return path }
            defer { free(real) }
            return FilePath(platformString: real)
        }
    }
}
