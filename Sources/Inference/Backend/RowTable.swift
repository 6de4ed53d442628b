/// A checkpoint's matrix `[rows, columns]` of which single rows are read, in its own element type.
///
/// The elements go on lying in the checkpoint's mapping, except those of a tensor at an odd offset, which are copied as f32.
package struct RowTable: Sendable {
    let outputs: Int
    let inputs: Int
    private let storage: Storage

    private enum Storage {
        case mapped(Checkpoint.Tensor)
        case moved([Float])
    }

    init(_ tensor: Checkpoint.Tensor) {
        outputs = tensor.shape.first ?? 1
        inputs = tensor.shape.dropFirst().reduce(1, *)
        let aligned = tensor.withBytes { bytes in
            Int(bitPattern: bytes.baseAddress) % tensor.type.size == 0
        }
        storage = aligned ? .mapped(tensor) : .moved(tensor.floats())
    }

    /// Lends the elements, of `elementType`.
    func withElements<R>(_ body: (UnsafeRawPointer) -> R) -> R {
        switch storage {
        case .mapped(let tensor):
            tensor.withBytes { bytes in
                guard let base = bytes.baseAddress else { preconditionFailure("an empty weight is never read") }
                return body(base)
            }
        case .moved(let floats):
            floats.withUnsafeBytes { bytes in
                guard let base = bytes.baseAddress else { preconditionFailure("an empty weight is never read") }
                return body(base)
            }
        }
    }

    /// The type of what `withElements` lends.
    var elementType: ElementType {
        switch storage {
        case .mapped(let tensor): tensor.type
        case .moved: .float32
        }
    }
}

extension Checkpoint.Tensor {
    /// All elements as f32, which every type converts to exactly.
    package func floats() -> [Float] {
        withBytes { bytes in
            switch type {
            case .float32:
                (0..<count).map { Float(bitPattern: bytes.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self)) }
            case .bfloat16:
                (0..<count).map {
                    Float(bitPattern: UInt32(bytes.loadUnaligned(fromByteOffset: $0 * 2, as: UInt16.self)) << 16)
                }
            case .float16:
                (0..<count).map {
                    Float(Float16(bitPattern: bytes.loadUnaligned(fromByteOffset: $0 * 2, as: UInt16.self)))
                }
            }
        }
    }
}
