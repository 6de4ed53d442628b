/// What runs the GPU's kernels: a GPU, or in tests a shim on the processor.
///
/// Launches and copies are done in the order in which they are asked for. One thread at a time.
package protocol KernelDevice: AnyObject {
    /// Takes memory of so many bytes, aligned to at least 256.
    func allocate(_ bytes: Int) throws(InferenceError) -> UInt64
    /// Gives back what `allocate` returned, once all launches so far are done.
    func free(_ address: UInt64)
    /// Copies from the processor's memory, which may change after the call.
    func copy(_ bytes: UnsafeRawBufferPointer, to address: UInt64) throws(InferenceError)
    /// Waits for all launches so far and copies to the processor's memory.
    func copy(from address: UInt64, to bytes: UnsafeMutableRawBufferPointer) throws(InferenceError)
    func launch(_ launch: KernelLaunch) throws(InferenceError)
}

/// A kernel with its arguments, in the order of its parameters.
package struct KernelLaunch: Sendable {
    package enum Argument: Sendable {
        case address(UInt64)
        case int(Int)
        /// A parameter of 64 bits.
        case long(Int)
        case float(Float)

        /// The parameter's bytes, the first ones of eight.
        var bits: UInt64 {
            switch self {
            case .address(let address): address
            case .int(let value): UInt64(UInt32(bitPattern: Int32(value)))
            case .long(let value): UInt64(bitPattern: Int64(value))
            case .float(let value): UInt64(value.bitPattern)
            }
        }
    }

    package let name: String
    /// Blocks along x, y and z.
    package let grid: (x: Int, y: Int, z: Int)
    /// Threads of a block.
    package let threads: Int
    /// Bytes of shared memory beyond what the kernel declares.
    package let shared: Int
    package let arguments: [Argument]

    package init(
        _ name: String, grid: (x: Int, y: Int, z: Int), threads: Int, shared: Int = 0, _ arguments: [Argument]
    ) {
        self.name = name
        self.grid = grid
        self.threads = threads
        self.shared = shared
        self.arguments = arguments
    }

    /// Calls with what the driver takes: the grid, the block and pointers to each argument.
    package func withPointers<R>(
        _ body: (_ grid: [UInt32], _ block: [UInt32], UnsafeMutablePointer<UnsafeMutableRawPointer>) -> R
    ) -> R {
        var values = arguments.map(\.bits)
        return values.withUnsafeMutableBytes { bytes in
            // A kernel without parameters has no base address; the driver then looks at none.
            var pointers = arguments.indices.compactMap { bytes.baseAddress?.advanced(by: $0 * 8) }
            return pointers.withUnsafeMutableBufferPointer { buffer in
                guard let first = buffer.baseAddress else { preconditionFailure("kernels have parameters") }
                return body([UInt32(grid.x), UInt32(grid.y), UInt32(grid.z)], [UInt32(threads), 1, 1], first)
            }
        }
    }
}

/// Memory of a device, which is given back with the last reference.
package final class DeviceMemory {
    package let device: any KernelDevice
    package let address: UInt64
    package let bytes: Int

    package init(_ device: any KernelDevice, bytes: Int) throws(InferenceError) {
        self.device = device
        self.bytes = bytes
        address = try device.allocate(bytes)
    }

    /// Memory that holds an array's elements.
    package convenience init<Element: BitwiseCopyable>(
        _ device: any KernelDevice, _ elements: [Element]
    ) throws(InferenceError) {
        try self.init(device, bytes: elements.count * MemoryLayout<Element>.stride)
        try write(elements)
    }

    deinit { device.free(address) }

    /// Copies elements to the beginning.
    package func write<Element: BitwiseCopyable>(_ elements: [Element]) throws(InferenceError) {
        precondition(elements.count * MemoryLayout<Element>.stride <= bytes, "the elements fit")
        let result = elements.withUnsafeBytes { buffer in
            Result { () throws(InferenceError) in try device.copy(buffer, to: address) }
        }
        try result.get()
    }

    /// The first `count` elements.
    package func read<Element: BitwiseCopyable>(
        _ type: Element.Type, _ count: Int
    ) throws(InferenceError) -> [Element] {
        precondition(count * MemoryLayout<Element>.stride <= bytes, "so many are there")
        let buffer = UnsafeMutableBufferPointer<Element>.allocate(capacity: count)
        defer { buffer.deallocate() }
        try device.copy(from: address, to: UnsafeMutableRawBufferPointer(buffer))
        return Array(buffer)
    }
}
