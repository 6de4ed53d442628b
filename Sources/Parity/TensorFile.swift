private import FoundationEssentials
private import SystemPackage

/// The tensors of a small safetensors file: fixtures, not checkpoints.
package struct TensorFile: Sendable {
    /// One tensor, row-major.
    package struct Tensor: Sendable {
        package enum Values: Sendable {
            case bytes([UInt8])
            case integers([Int])
            case floats([Float])
        }

        package let shape: [Int]
        package let values: Values

        /// The values as float32; nil for whole numbers.
        package var floats: [Float]? { if case .floats(let floats) = values { floats } else { nil } }
        /// The values as bytes; nil for anything else.
        package var bytes: [UInt8]? { if case .bytes(let bytes) = values { bytes } else { nil } }
        /// The values as whole numbers; nil for anything else.
        package var integers: [Int]? { if case .integers(let integers) = values { integers } else { nil } }
    }

    package let tensors: [String: Tensor]

    /// The names, sorted.
    package var names: [String] { tensors.keys.sorted() }

    /// Reads a file of the folder.
    package init(_ folder: GoldenFolder, _ name: String) throws(ParityError) {
        let bytes = try folder.bytes(name)
        do {
            self = try Self(bytes: bytes)
        } catch {
            throw ParityError("\(folder.path.appending(name)): \(error)")
        }
    }

    /// Parses a whole file: 8 bytes of header length, the header in JSON, the tensors.
    package init(bytes: [UInt8]) throws(ParityError) {
        guard bytes.count >= 8 else { throw ParityError("the file is too short for a header") }
        let length = bytes[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length <= UInt64(bytes.count - 8) else { throw ParityError("the header is longer than the file") }
        let start = 8 + Int(length)
        let header: [String: Entry]
        do {
            header = try JSONDecoder().decode([String: Entry].self, from: Data(bytes[8..<start]))
        } catch {
            throw ParityError("the header cannot be read: \(error)")
        }
        var tensors: [String: Tensor] = [:]
        for (name, entry) in header {
            guard let dtype = entry.dtype, let shape = entry.shape, let offsets = entry.offsets else { continue }
            guard offsets.count == 2, offsets[0] >= 0, offsets[0] <= offsets[1], offsets[1] <= bytes.count - start,
                shape.allSatisfy({ $0 >= 0 && $0 < 1 << 31 })
            else { throw ParityError("\(name) does not lie within the file") }
            let slice = bytes[(start + offsets[0])..<(start + offsets[1])]
            let values = try Self.values(slice, dtype: dtype, name: name)
            tensors[name] = Tensor(shape: shape, values: values)
            let count = shape.reduce(1) { $0.multipliedReportingOverflow(by: $1).partialValue }
            guard count == values.count else {
                throw ParityError("\(name) has \(values.count) values for the shape \(shape)")
            }
        }
        self.tensors = tensors
    }

    private struct Entry: Decodable {
        let dtype: String?
        let shape: [Int]?
        let offsets: [Int]?

        enum CodingKeys: String, CodingKey {
            case dtype, shape
            case offsets = "data_offsets"
        }
    }

    private static func values(
        _ bytes: ArraySlice<UInt8>, dtype: String, name: String
    ) throws(ParityError) -> Tensor.Values {
        func words<Word: FixedWidthInteger>(_: Word.Type) -> [Word] {
            let size = MemoryLayout<Word>.size
            return bytes.withUnsafeBytes { raw in
                (0..<(raw.count / size)).map {
                    Word(littleEndian: raw.loadUnaligned(fromByteOffset: $0 * size, as: Word.self))
                }
            }
        }
        switch dtype {
        case "U8": return .bytes(Array(bytes))
        case "I64": return .integers(words(Int64.self).map { Int($0) })
        case "I32": return .integers(words(Int32.self).map { Int($0) })
        case "F32": return .floats(words(UInt32.self).map { Float(bitPattern: $0) })
        case "BF16": return .floats(words(UInt16.self).map { Float(bitPattern: UInt32($0) << 16) })
        default: throw ParityError("\(name) has the type \(dtype), which no case uses")
        }
    }
}

extension TensorFile.Tensor.Values {
    fileprivate var count: Int {
        switch self {
        case .bytes(let bytes): bytes.count
        case .integers(let integers): integers.count
        case .floats(let floats): floats.count
        }
    }
}
