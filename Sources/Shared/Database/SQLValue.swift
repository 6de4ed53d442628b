/// A parameter of a statement, sent in PostgreSQL's binary format.
package enum SQLValue: Sendable {
    case null
    case int(Int64)
    case double(Double)
    case bool(Bool)
    case text(String)
    case bytes([UInt8])
    case ints([Int64?])
    case doubles([Double?])
    case bools([Bool?])
    case texts([String?])
    case byteArrays([[UInt8]?])

    package static func int(_ value: Int) -> SQLValue { .int(Int64(value)) }
    package static func ints(_ values: [Int]) -> SQLValue { .ints(values.map { Int64($0) }) }
    package static func text(_ value: String?) -> SQLValue { value.map { .text($0) } ?? .null }

    /// The type's number in pg_type; 0 lets the server infer it.
    var typeOID: UInt32 {
        switch self {
        case .null: 0
        case .int: 20
        case .double: 701
        case .bool: 16
        case .text: 25
        case .bytes: 17
        case .ints: 1016
        case .doubles: 1022
        case .bools: 1000
        case .texts: 1009
        case .byteArrays: 1001
        }
    }

    /// Appends the value in binary format; false for NULL.
    func encode(into out: inout [UInt8]) -> Bool {
        switch self {
        case .null: return false
        case .int(let value): out.appendBigEndian(value)
        case .double(let value): out.appendBigEndian(value.bitPattern)
        case .bool(let value): out.append(value ? 1 : 0)
        case .text(let value): out.appendText(value)
        case .bytes(let value): out += value
        case .ints(let values):
            out.appendArray(values, elementOID: 20) { $0.appendBigEndian($1) }
        case .doubles(let values):
            out.appendArray(values, elementOID: 701) { $0.appendBigEndian($1.bitPattern) }
        case .bools(let values):
            out.appendArray(values, elementOID: 16) { $0.append($1 ? 1 : 0) }
        case .texts(let values):
            out.appendArray(values, elementOID: 25) { $0.appendText($1) }
        case .byteArrays(let values):
            out.appendArray(values, elementOID: 17) { $0 += $1 }
        }
        return true
    }
}

extension [UInt8] {
    fileprivate mutating func appendBigEndian(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }

    /// PostgreSQL's text cannot hold the character U+0000, which a model may well write.
    fileprivate mutating func appendText(_ value: String) {
        for byte in value.utf8 {
            if byte == 0 {
                append(contentsOf: "\u{FFFD}".utf8)
            } else {
                append(byte)
            }
        }
    }

    /// One dimension, counted from 1: the layout of PostgreSQL's array_recv.
    fileprivate mutating func appendArray<Value>(
        _ values: [Value?], elementOID: UInt32, _ encode: (inout [UInt8], Value) -> Void
    ) {
        appendBigEndian(Int32(values.isEmpty ? 0 : 1))
        appendBigEndian(Int32(values.contains { $0 == nil } ? 1 : 0))
        appendBigEndian(elementOID)
        guard !values.isEmpty else { return }
        appendBigEndian(Int32(values.count))
        appendBigEndian(Int32(1))
        for value in values {
            guard let value else {
                appendBigEndian(Int32(-1))
                continue
            }
            let lengthIndex = count
            appendBigEndian(Int32(0))
            encode(&self, value)
            let length = Int32(count - lengthIndex - 4)
            Swift.withUnsafeBytes(of: length.bigEndian) { replaceSubrange(lengthIndex..<lengthIndex + 4, with: $0) }
        }
    }
}
