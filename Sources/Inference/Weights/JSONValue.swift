/// A JSON document as it stands: objects keep the order and the repetitions of their keys.
///
/// Headers of checkpoints are foreign bytes in which a repeated name matters, so they are not read through `Codable`.
package enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([Member])

    /// One `"key": value` of an object.
    package struct Member: Sendable, Equatable {
        package let key: String
        package let value: JSONValue
    }

    /// Why bytes are not JSON.
    package struct SyntaxError: Error, Equatable, CustomStringConvertible {
        package let offset: Int
        package let reason: String
        package var description: String { "not JSON at byte \(offset): \(reason)" }
    }

    /// Parses one document with nothing but white space around it.
    package init(parsing bytes: some Collection<UInt8>) throws(SyntaxError) {
        var parser = JSONParser(Array(bytes))
        self = try parser.document()
    }

    /// The last value under a key of an object; nil where there is none or this is no object.
    package subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.key == key }?.value
    }

    /// The number, if this is one without a fraction that an `Int` holds.
    package var integer: Int? {
        guard case .number(let value) = self else { return nil }
        return Int(exactly: value)
    }

    /// The string, if this is one.
    package var text: String? {
        guard case .string(let value) = self else { return nil }
        return value
    }

    /// The elements, if this is an array.
    package var elements: [JSONValue]? {
        guard case .array(let values) = self else { return nil }
        return values
    }

    /// The members, if this is an object.
    package var members: [Member]? {
        guard case .object(let values) = self else { return nil }
        return values
    }
}

/// A recursive descent over bytes, with a limit on depth.
private struct JSONParser {
    private let bytes: [UInt8]
    private var position = 0
    private var depth = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws(JSONValue.SyntaxError) -> JSONValue {
        let value = try value()
        skipSpace()
        guard position == bytes.count else { throw failure("something follows the document") }
        return value
    }

    private func failure(_ reason: String) -> JSONValue.SyntaxError {
        JSONValue.SyntaxError(offset: position, reason: reason)
    }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ word: String, _ value: JSONValue) throws(JSONValue.SyntaxError) -> JSONValue {
        guard bytes[position...].starts(with: word.utf8) else { throw failure("an unknown word") }
        position += word.utf8.count
        return value
    }

    private mutating func value() throws(JSONValue.SyntaxError) -> JSONValue {
        skipSpace()
        guard let byte = next else { throw failure("it ends too early") }
        switch byte {
        case UInt8(ascii: "{"): return try nested { parser throws(JSONValue.SyntaxError) in try parser.object() }
        case UInt8(ascii: "["): return try nested { parser throws(JSONValue.SyntaxError) in try parser.array() }
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try expect("true", .bool(true))
        case UInt8(ascii: "f"): return try expect("false", .bool(false))
        case UInt8(ascii: "n"): return try expect("null", .null)
        default: return try number()
        }
    }

    private mutating func nested(
        _ body: (inout JSONParser) throws(JSONValue.SyntaxError) -> JSONValue
    ) throws(JSONValue.SyntaxError) -> JSONValue {
        depth += 1
        guard depth <= 64 else { throw failure("more than 64 levels") }
        position += 1
        let value = try body(&self)
        depth -= 1
        return value
    }

    private mutating func object() throws(JSONValue.SyntaxError) -> JSONValue {
        var members: [JSONValue.Member] = []
        skipSpace()
        if take(UInt8(ascii: "}")) { return .object([]) }
        while true {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw failure("a key was expected") }
            let key = try string()
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw failure("a colon was expected") }
            members.append(JSONValue.Member(key: key, value: try value()))
            skipSpace()
            if take(UInt8(ascii: "}")) { return .object(members) }
            guard take(UInt8(ascii: ",")) else { throw failure("a comma or } was expected") }
        }
    }

    private mutating func array() throws(JSONValue.SyntaxError) -> JSONValue {
        var values: [JSONValue] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return .array([]) }
        while true {
            values.append(try value())
            skipSpace()
            if take(UInt8(ascii: "]")) { return .array(values) }
            guard take(UInt8(ascii: ",")) else { throw failure("a comma or ] was expected") }
        }
    }

    private mutating func number() throws(JSONValue.SyntaxError) -> JSONValue {
        let start = position
        while let byte = next, "+-.0123456789eE".utf8.contains(byte) { position += 1 }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        guard let value = Double(text), value.isFinite else {
            position = start
            throw failure("a value was expected")
        }
        return .number(value)
    }

    private mutating func string() throws(JSONValue.SyntaxError) -> String {
        position += 1
        var units: [UInt8] = []
        while let byte = next {
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: units, as: UTF8.self) else {
                    throw failure("a string is not UTF-8")
                }
                return text
            case UInt8(ascii: "\\"): units.append(contentsOf: try escape())
            case 0..<0x20: throw failure("a control character in a string")
            default: units.append(byte)
            }
        }
        throw failure("a string does not end")
    }

    private mutating func escape() throws(JSONValue.SyntaxError) -> [UInt8] {
        guard let byte = next else { throw failure("a string does not end") }
        position += 1
        switch byte {
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "u"):
            var units = [try codeUnit()]
            if UTF16.isLeadSurrogate(units[0]), take(UInt8(ascii: "\\")) {
                guard take(UInt8(ascii: "u")) else { throw failure("half a surrogate pair") }
                units.append(try codeUnit())
            }
            guard let text = String(validating: units, as: UTF16.self) else { throw failure("half a surrogate pair") }
            return Array(text.utf8)
        default: throw failure("an unknown escape")
        }
    }

    private mutating func codeUnit() throws(JSONValue.SyntaxError) -> UInt16 {
        let end = position + 4
        guard end <= bytes.count,
            let unit = UInt16(String(decoding: bytes[position..<end], as: UTF8.self), radix: 16)
        else { throw failure("four hexadecimal digits were expected") }
        position = end
        return unit
    }
}
