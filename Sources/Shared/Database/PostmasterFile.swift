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

/// Looks at this PID namespace's processes by their working directory, which for all of a server's is the data directory.
enum ServerProcesses {
    /// False if there is no such process, or it is another program that came by the same number.
    static func isServer(_ pid: pid_t, of dataDirectory: FilePath) -> Bool {
        guard let wanted = folder(dataDirectory) else { return false }
        return isServer("\(pid)", in: wanted)
    }

    /// Servers' processes that are left, as when the main process was killed alone; or another program's that works in a
    /// folder.
    static func exist(in directory: FilePath, name program: String = "postgres") -> Bool {
        guard let wanted = folder(directory), let processes = opendir("/proc") else { return false }
        defer { closedir(processes) }
        while let entry = readdir(processes) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if pid_t(name) != nil, isServer(name, in: wanted, program) { return true }
        }
        return false
    }

    /// By device and file number, as another mount namespace has other paths.
    private struct Folder: Equatable {
        var device: dev_t
        var number: ino_t
    }

    private static func isServer(_ pid: String, in wanted: Folder, _ program: String = "postgres") -> Bool {
        folder(FilePath("/proc/\(pid)/cwd")) == wanted
            && SmallFile.readText(FilePath("/proc/\(pid)/comm"))?.hasPrefix(program) == true
    }

    private static func folder(_ path: FilePath) -> Folder? {
        var status = stat()
        guard path.withPlatformString({ stat($0, &status) }) == 0 else { return nil }
        return Folder(device: status.st_dev, number: status.st_ino)
    }
}
