private import Glibc
private import SystemPackage

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
        let text = contents(of: "/proc/sys/kernel/random/boot_id") ?? ""
        return String(text.prefix { !$0.isWhitespace })
    }

    /// When a process of this host started, in clock ticks since boot (field 22 of /proc/PID/stat); nil when it is gone.
    package static func startTicks(of pid: Int32) -> Int64? {
        guard let text = contents(of: FilePath("/proc/\(pid)/stat")), let end = text.lastIndex(of: ")") else {
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

    private static func contents(of path: FilePath) -> String? {
        guard let file = try? FileDescriptor.open(path, .readOnly, options: .closeOnExec) else { return nil }
        defer { try? file.close() }
        var buffer = [UInt8](repeating: 0, count: 4096)
        guard let count = try? buffer.withUnsafeMutableBytes({ try file.read(into: $0) }) else { return nil }
        return String(decoding: buffer.prefix(count), as: UTF8.self)
    }
}
