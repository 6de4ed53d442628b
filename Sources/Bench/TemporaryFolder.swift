import Glibc
import SystemPackage

/// A new folder below /tmp that others may enter; removed with all that is in it when this object goes.
final class TemporaryFolder: Sendable {
    let path: FilePath

    init(prefix: String) throws {
        var template = Array("/tmp/\(prefix)-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
        chmod(template, 0o755)
        path = FilePath(platformString: template)
    }

    deinit { Self.remove(path) }

    /// Removes a folder and all that is in it.
    static func remove(_ path: FilePath) {
        let texts: [String] = ["/bin/rm", "-rf", "--", path.string]
        let words: [UnsafeMutablePointer<CChar>?] = texts.map { strdup($0) } + [nil]
        defer { words.forEach { free($0) } }
        var pid: pid_t = -1
        if posix_spawn(&pid, "/bin/rm", nil, nil, words, environ) == 0 { waitpid(pid, nil, 0) }
    }
}
