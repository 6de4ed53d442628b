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
    func withPointers<R>(
        _ body: (_ grid: [UInt32], _ block: [UInt32], UnsafeMutablePointer<UnsafeMutableRawPointer>) -> R
    ) -> R {
        var values = arguments.map(\.bits)
        return values.withUnsafeMutableBytes { bytes in
            var pointers = arguments.indices.compactMap { bytes.baseAddress?.advanced(by: $0 * 8) }
            return pointers.withUnsafeMutableBufferPointer { buffer in
                guard let first = buffer.baseAddress else { preconditionFailure("kernels have parameters") }
                return body([UInt32(grid.x), UInt32(grid.y), UInt32(grid.z)], [UInt32(threads), 1, 1], first)
            }
        }
    }
}
