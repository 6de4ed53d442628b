import CUDAShim
import Glibc
import Inference
import Testing

/// The GPU's kernels on the processor.
///
/// Memory has guards before and behind it, which must be whole when it is given back.
final class ShimDevice: KernelDevice {
    private static let guardBytes = 256
    private static let guardValue: UInt8 = 0xA5

    private let isReversed: Bool
    private var sizes: [UInt64: Int] = [:]
    /// Kernels that were launched.
    private(set) var launched: Set<String> = []

    init(isReversed: Bool = false) { self.isReversed = isReversed }

    deinit { for address in sizes.keys { free(address) } }

    func allocate(_ bytes: Int) throws(InferenceError) -> UInt64 {
        let whole = (bytes + 3 * Self.guardBytes - 1) / Self.guardBytes * Self.guardBytes
        guard let memory = aligned_alloc(Self.guardBytes, whole) else {
            throw .deviceFailed(reason: "no memory", isMemory: true)
        }
        memset(memory, Int32(Self.guardValue), whole)
        let address = UInt64(UInt(bitPattern: memory)) + UInt64(Self.guardBytes)
        sizes[address] = bytes
        return address
    }

    func free(_ address: UInt64) {
        guard let bytes = sizes.removeValue(forKey: address), let memory = pointer(address) else {
            Issue.record("memory that was not allocated is given back")
            return
        }
        let start = memory - Self.guardBytes
        let before = UnsafeRawBufferPointer(start: start, count: Self.guardBytes)
        let behind = UnsafeRawBufferPointer(start: memory + bytes, count: Self.guardBytes - (bytes % Self.guardBytes))
        if !before.allSatisfy({ $0 == Self.guardValue }) || !behind.allSatisfy({ $0 == Self.guardValue }) {
            Issue.record("a kernel wrote outside of \(bytes) bytes that it was given")
        }
        Glibc.free(start)
    }

    func copy(_ bytes: UnsafeRawBufferPointer, to address: UInt64) throws(InferenceError) {
        guard let base = bytes.baseAddress, let memory = pointer(address) else { return }
        memcpy(memory, base, bytes.count)
    }

    func copy(from address: UInt64, to bytes: UnsafeMutableRawBufferPointer) throws(InferenceError) {
        guard let base = bytes.baseAddress, let memory = pointer(address) else { return }
        memcpy(base, memory, bytes.count)
    }

    func launch(_ launch: KernelLaunch) throws(InferenceError) {
        launched.insert(launch.name)
        let problem = launch.withPointers { grid, block, arguments in
            let count = launch.arguments.count
            return arguments.withMemoryRebound(to: UnsafeRawPointer.self, capacity: count) { pointers in
                quire_shim_launch(launch.name, grid, block, launch.shared, pointers, isReversed ? 1 : 0)
                    .map { String(cString: $0) }
            }
        }
        if let problem { throw .deviceFailed(reason: "\(launch.name): \(problem)", isMemory: false) }
    }

    private func pointer(_ address: UInt64) -> UnsafeMutableRawPointer? {
        UnsafeMutableRawPointer(bitPattern: UInt(address))
    }
}
