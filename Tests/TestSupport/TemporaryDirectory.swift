package import SystemPackage

#if canImport(Glibc)
    private import Glibc
#endif

/// A new directory that goes, with all it holds, when its owner does.
package final class TemporaryDirectory: Sendable {
    /// Absolute; all users may pass through it.
    package let path: FilePath
    private let watch: Int32

    /// Where `isWatched`, a helper process stops a private cluster inside and removes the directory even if this process
    /// is killed.
    package init(prefix: String = "quire-test", isWatched: Bool = false) throws {
        var template = Array("/tmp/\(prefix)-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
        path = template.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { FilePath(platformString: $0) } ?? "/tmp"
        }
        chmod(template, 0o755)
        watch = isWatched ? Self.startWatcher(path) : -1
    }

    deinit {
        if watch >= 0 {
            close(watch)
        } else {
            let arguments: [UnsafeMutablePointer<CChar>?] = [
                strdup("/bin/rm"), strdup("-rf"), strdup("--"), strdup(path.string), nil,
            ]
            defer { arguments.forEach { free($0) } }
            var pid: pid_t = -1
            if posix_spawn(&pid, "/bin/rm", nil, nil, arguments, environ) == 0 { waitpid(pid, nil, 0) }
        }
    }

    /// Starts a shell that waits until the descriptor returned is closed, and cleans up then.
    private static func startWatcher(_ path: FilePath) -> Int32 {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else { return -1 }
        let script = """
            exec 3<&0
            {
              trap '' INT TERM HUP
              read -r line <&3
              pid=$(head -n 1 "$1"/cluster/data/postmaster.pid 2>/dev/null) && kill -QUIT "$pid"
              while [ -n "$pid" ] && readlink "/proc/$pid/exe"; do sleep 0.1; done
              rm -rf -- "$1"
            } &
            """
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A group of its own: an interrupt from the terminal must not reach it.
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
        let words: [String] = ["/bin/sh", "-c", script, "sh", path.string]
        let arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { arguments.forEach { free($0) } }
        var pid: pid_t = -1
        if posix_spawn(&pid, "/bin/sh", &actions, &attributes, arguments, environ) == 0 {
            // It leaves the watcher to init: dead children that nobody waits for hide those of Swift Testing's exit tests.
            waitpid(pid, nil, 0)
        }
        close(ends[1])
        return ends[0]
    }
}
