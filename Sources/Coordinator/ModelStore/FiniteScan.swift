internal import Dispatch
internal import Inference
private import Synchronization

/// Looks for infinities and values that are no numbers.
enum FiniteScan {
    /// What is wrong with a tensor's values.
    struct Finding: Sendable, Equatable {
        let tensor: String
        let count: Int
        /// The first such element, counted from 0 in row-major order.
        let first: Int
    }

    /// Looks at every value of all tensors, on all cores; blocks.
    static func findings(_ tensors: [Checkpoint.Tensor]) -> [Finding] {
        let found = Mutex<[Finding]>([])
        DispatchQueue.concurrentPerform(iterations: tensors.count) { index in
            guard let finding = finding(tensors[index]) else { return }
            found.withLock { $0.append(finding) }
        }
        return found.withLock { $0 }.sorted { $0.tensor < $1.tensor }
    }

    static func finding(_ tensor: Checkpoint.Tensor) -> Finding? {
        tensor.withBytes { bytes in
            switch tensor.type {
            case .bfloat16: look(bytes, UInt16.self, exponent: 0x7F80, tensor.name)
            case .float16: look(bytes, UInt16.self, exponent: 0x7C00, tensor.name)
            case .float32: look(bytes, UInt32.self, exponent: 0x7F80_0000, tensor.name)
            }
        }
    }

    /// A value is infinite or no number where all bits of its exponent are set.
    private static func look<Bits: FixedWidthInteger & UnsignedInteger>(
        _ bytes: UnsafeRawBufferPointer, _: Bits.Type, exponent: Bits, _ name: String
    ) -> Finding? {
        let size = MemoryLayout<Bits>.size
        let count = bytes.count / size
        // Nearly every tensor is clean, and then this loop, which the compiler vectorises, is all.
        var greatest: Bits = 0
        for index in 0..<count {
            greatest = max(greatest, bytes.loadUnaligned(fromByteOffset: index &* size, as: Bits.self) & exponent)
        }
        guard greatest == exponent else { return nil }
        let bad = (0..<count).filter { index in
            bytes.loadUnaligned(fromByteOffset: index * size, as: Bits.self) & exponent == exponent
        }
        return bad.first.map { Finding(tensor: name, count: bad.count, first: $0) }
    }
}
