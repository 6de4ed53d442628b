private import FoundationEssentials
private import Glibc
internal import Inference
internal import Shared
internal import SystemPackage

/// What the machine is.
enum MachineCheck {
    /// The processor, its threads and the kernels that it runs, and the GPUs.
    static func device() -> Doctor.Finding {
        let memory = memory().map { ", \(ByteCount.text($0)) of memory" } ?? ""
        let count = threads
        return Doctor.Finding(
            "device", isRight: true,
            "\(processor() ?? "unknown processor"), \(count == 1 ? "1 thread" : "\(count) threads"), "
                + "kernels for \(Kernels.best.name)\(memory)\n\(graphics)")
    }

    /// The GPUs that are there, or why none can be used.
    private static var graphics: String {
        do throws(InferenceError) {
            return try CUDADevice.all().map { "GPU: \($0)" }.joined(separator: "\n")
        } catch {
            return error.description
        }
    }

    /// The hardware threads that this process may use.
    static var threads: Int { ProcessInfo.processInfo.activeProcessorCount }

    /// Bytes of memory.
    static func memory() -> Int64? {
        let (pages, size) = (sysconf(Int32(_SC_PHYS_PAGES)), sysconf(Int32(_SC_PAGESIZE)))
        return pages > 0 && size > 0 ? Int64(pages) * Int64(size) : nil
    }

    /// The processor's name as the kernel gives it.
    private static func processor() -> String? {
        guard let file = try? FileDescriptor.open("/proc/cpuinfo", .readOnly, options: .closeOnExec) else { return nil }
        defer { try? file.close() }
        var bytes = [UInt8](repeating: 0, count: 8192)
        guard let count = try? bytes.withUnsafeMutableBytes({ try file.read(into: $0) }) else { return nil }
        let lines = String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: "\n")
        let line = lines.first { $0.hasPrefix("model name") }
        return line?.split(separator: ":", maxSplits: 1).last.map { String($0.drop { $0 == " " }) }
    }
}
