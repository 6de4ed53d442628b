import Glibc
import Mutations
import Synchronization
import SystemPackage

/// The most memory that rendering processes of this one had, read every few milliseconds.
///
/// `@unchecked Sendable`: what changes is under the lock; the thread ends with the object.
final class ChildMemory: @unchecked Sendable {
    struct Peak: Sendable {
        /// Resident, bytes (VmHWM).
        var resident = 0
        /// Address space, bytes (VmPeak): what the limit is about.
        var address = 0
    }

    private let peak = Mutex(Peak())
    private let isOver = Mutex(false)

    init() {
        let parent = getpid()
        // Unstructured: it looks on while others wait for children.
        Task.detached { [weak self] in
            while let self, !self.isOver.withLock({ $0 }) {
                self.look(parent)
                try? await Task.sleep(for: .milliseconds(4))
            }
        }
    }

    func stop() { isOver.withLock { $0 = true } }

    /// The peak since it was last taken.
    ///
    /// A child that lives on keeps its mark: start another for a page of its own.
    func take() -> Peak {
        peak.withLock { peak in
            defer { peak = Peak() }
            return peak
        }
    }

    private func look(_ parent: pid_t) {
        guard let tasks = opendir("/proc/\(parent)/task") else { return }
        defer { closedir(tasks) }
        while let entry = readdir(tasks) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard Int(name) != nil else { continue }
            for child in Self.text("/proc/\(parent)/task/\(name)/children").split(separator: " ") {
                let status = Self.text("/proc/\(child)/status")
                guard status.hasPrefix("Name:\tquire-render") else { continue }
                peak.withLock { peak in
                    peak.resident = max(peak.resident, Self.bytes("VmHWM:", status))
                    peak.address = max(peak.address, Self.bytes("VmPeak:", status))
                }
            }
        }
    }

    private static func bytes(_ field: String, _ status: String) -> Int {
        let line = status.split(separator: "\n").first { $0.hasPrefix(field) }
        let number = line?.split(whereSeparator: { " \t".contains($0) }).dropFirst().first
        return number.flatMap { Int($0) }.map { $0 * 1024 } ?? 0
    }

    /// Files of the kernel say no size.
    private static func text(_ path: String) -> String {
        guard let file = try? FileDescriptor.open(FilePath(path), .readOnly, options: .closeOnExec) else { return "" }
        defer { try? file.close() }
        var buffer = [UInt8](repeating: 0, count: 8192)
        let count = (try? buffer.withUnsafeMutableBytes { try file.read(into: $0) }) ?? 0
        return String(decoding: buffer.prefix(count), as: UTF8.self)
    }
}
