private import Glibc
package import SystemPackage

/// What tells one process from every other, on this host and since it booted.
///
/// Process numbers are used again.
package enum ProcessIdentity {
    /// The name of this host.
    package static var host: String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "unknown" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The kernel's id of this boot; empty where there is none.
    package static var bootID: String {
        let text = SmallFile.readText("/proc/sys/kernel/random/boot_id") ?? ""
        return String(text.prefix { !$0.isWhitespace })
    }

    /// The inode of this process's PID namespace; nil where the kernel does not say.
    ///
    /// Process numbers mean the same only within one: containers share the boot id, and may share the host's name.
    package static var pidNamespace: Int64? {
        var info = stat()
        guard stat("/proc/self/ns/pid", &info) == 0 else { return nil }
        return Int64(truncatingIfNeeded: info.st_ino)
    }

    /// When a process of this host started, in clock ticks since boot (field 22 of /proc/PID/stat); nil when it is gone.
    package static func startTicks(of pid: Int32) -> Int64? {
        guard let text = SmallFile.readText(FilePath("/proc/\(pid)/stat")), let end = text.lastIndex(of: ")") else {
            return nil
        }
        // Field 2, the program's name, is in parentheses and may itself hold spaces and parentheses.
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return nil }
        return Int64(fields[19])
    }

    /// Whether the process that registered with these numbers still runs on this host.
    package static func isAlive(pid: Int32, startTicks: Int64, bootID: String) -> Bool {
        bootID == Self.bootID && self.startTicks(of: pid) == startTicks
    }

    /// The folder that holds the running program; nil where the kernel does not say.
    package static var programDirectory: FilePath? {
        var path = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let length = readlink("/proc/self/exe", &path, path.count - 1)
        return length > 0 ? FilePath(platformString: path).removingLastComponent() : nil
    }
}
