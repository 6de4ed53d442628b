/// One row of an answer, read column by column from the left.
package struct Row: Sendable {
    private let values: [[UInt8]?]
    private let typeOIDs: [UInt32]
    private var column = 0

    init(values: [[UInt8]?], typeOIDs: [UInt32]) {
        self.values = values
        self.typeOIDs = typeOIDs
    }

    /// The next column, a smallint, integer or bigint.
    package mutating func int64() throws(DatabaseError) -> Int64 { try required(optionalInt64()) }

    /// The next column, a smallint, integer or bigint.
    package mutating func int() throws(DatabaseError) -> Int { Int(try int64()) }

    /// The next column, a smallint, integer or bigint, or NULL.
    package mutating func optionalInt64() throws(DatabaseError) -> Int64? {
        guard let (bytes, type) = try next() else { return nil }
        switch (type, bytes.count) {
        case (21, 2): return Int64(Int16(truncatingIfNeeded: Self.bigEndian(bytes)))
        case (23, 4): return Int64(Int32(truncatingIfNeeded: Self.bigEndian(bytes)))
        case (20, 8): return Int64(bitPattern: Self.bigEndian(bytes))
        default: throw wrongType("an integer", type)
        }
    }

    /// The next column, a real or double precision.
    package mutating func double() throws(DatabaseError) -> Double { try required(optionalDouble()) }

    /// The next column, a real or double precision, or NULL.
    package mutating func optionalDouble() throws(DatabaseError) -> Double? {
        guard let (bytes, type) = try next() else { return nil }
        switch (type, bytes.count) {
        case (700, 4): return Double(Float(bitPattern: UInt32(truncatingIfNeeded: Self.bigEndian(bytes))))
        case (701, 8): return Double(bitPattern: Self.bigEndian(bytes))
        default: throw wrongType("a floating-point number", type)
        }
    }

    /// The next column, a boolean.
    package mutating func bool() throws(DatabaseError) -> Bool { try required(optionalBool()) }

    /// The next column, a boolean or NULL.
    package mutating func optionalBool() throws(DatabaseError) -> Bool? {
        guard let (bytes, type) = try next() else { return nil }
        guard type == 16, bytes.count == 1 else { throw wrongType("a boolean", type) }
        return bytes[0] != 0
    }

    /// The next column, a text or an enum's label.
    package mutating func text() throws(DatabaseError) -> String { try required(optionalText()) }

    /// The next column, a text or an enum's label, or NULL.
    package mutating func optionalText() throws(DatabaseError) -> String? {
        guard let (bytes, type) = try next() else { return nil }
        guard type == 25 || type == 19 || type == 1043 || type >= 16384 else { throw wrongType("a text", type) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The next column, a bytea.
    package mutating func bytes() throws(DatabaseError) -> [UInt8] { try required(optionalBytes()) }

    /// The next column, a bytea or NULL.
    package mutating func optionalBytes() throws(DatabaseError) -> [UInt8]? {
        guard let (bytes, type) = try next() else { return nil }
        guard type == 17 else { throw wrongType("a bytea", type) }
        return bytes
    }

    /// The next column, an enum that matches `Value`.
    package mutating func label<Value: RawRepresentable<String>>(
        _ type: Value.Type = Value.self
    ) throws(DatabaseError) -> Value {
        let text = try text()
        guard let value = Value(rawValue: text) else {
            throw .unexpectedAnswer(reason: "`\(text)` is no \(type).")
        }
        return value
    }

    private mutating func next() throws(DatabaseError) -> (bytes: [UInt8], type: UInt32)? {
        guard column < values.count else {
            throw .unexpectedAnswer(reason: "column \(column + 1) is missing in a row of \(values.count).")
        }
        defer { column += 1 }
        return values[column].map { ($0, typeOIDs[column]) }
    }

    private func required<Value>(_ value: Value?) throws(DatabaseError) -> Value {
        guard let value else { throw .unexpectedAnswer(reason: "column \(column) is NULL.") }
        return value
    }

    private func wrongType(_ wanted: String, _ found: UInt32) -> DatabaseError {
        .unexpectedAnswer(reason: "column \(column) should be \(wanted) and is of type \(found).")
    }

    private static func bigEndian(_ bytes: [UInt8]) -> UInt64 {
        bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }
}
