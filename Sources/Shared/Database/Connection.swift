private import CLibPQ

#if canImport(Glibc)
    private import Glibc
#endif

/// An open libpq connection.
///
/// All calls block; only `Database` has one, on its own queue.
final class Connection {
    private let handle: OpaquePointer

    /// Connects, or throws `connectionLost` or `badSettings`.
    init(connectionString: String) throws(DatabaseError) {
        try ConnectionString.validate(connectionString)
        // Later keywords win: what the string says about these stands.
        var keywords = [
            "fallback_application_name", "client_encoding", "keepalives_idle", "keepalives_interval",
            "tcp_user_timeout",
        ]
        var values = ["quire", "UTF8", "30", "10", "60000"]
        if getenv("PGCONNECT_TIMEOUT") == nil {
            keywords.append("connect_timeout")
            values.append("15")
        }
        keywords.append("dbname")
        values.append(connectionString)
        let opened = withCStrings(keywords) { keywords in
            withCStrings(values) { values in PQconnectdbParams(keywords, values, 1) }
        }
        guard let opened else { throw .connectionLost(reason: "there is no memory for a connection.") }
        guard PQstatus(opened) == CONNECTION_OK else {
            let reason = ConnectionString.redact(Self.message(of: opened), connectionString)
            PQfinish(opened)
            throw .connectionLost(reason: reason)
        }
        PQsetNoticeProcessor(opened, { _, _ in }, nil)
        handle = opened
    }

    deinit { PQfinish(handle) }

    var isBroken: Bool { PQstatus(handle) != CONNECTION_OK }

    /// Runs one statement and returns its rows.
    @discardableResult
    func query(_ sql: String, _ parameters: [SQLValue] = []) throws(DatabaseError) -> [Row] {
        guard parameters.count < 65_536 else {
            throw .unexpectedAnswer(reason: "\(parameters.count) parameters are more than PostgreSQL takes.")
        }
        var buffer: [UInt8] = []
        var ranges: [Range<Int>?] = []
        for parameter in parameters {
            let start = buffer.count
            ranges.append(parameter.encode(into: &buffer) ? start..<buffer.count : nil)
        }
        buffer.append(0)
        let types = parameters.map(\.typeOID)
        let lengths = ranges.map { Int32(clamping: $0?.count ?? 0) }
        let formats = [Int32](repeating: 1, count: parameters.count)
        let result = buffer.withUnsafeBytes { bytes in
            let base = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
            let pointers = ranges.map { range in range.flatMap { range in base.map { $0 + range.lowerBound } } }
            return PQexecParams(handle, sql, Int32(parameters.count), types, pointers, lengths, formats, 1)
        }
        return try rows(of: result)
    }

    /// Runs a script of several statements without parameters.
    func execute(script: String) throws(DatabaseError) {
        _ = try rows(of: PQexec(handle, script))
    }

    /// Runs `body` between BEGIN and COMMIT; an error rolls back.
    func transaction<Value>(_ body: () throws(DatabaseError) -> Value) throws(DatabaseError) -> Value {
        try execute(script: "BEGIN")
        do throws(DatabaseError) {
            let value = try body()
            try execute(script: "COMMIT")
            return value
        } catch {
            if !isBroken { try? execute(script: "ROLLBACK") }
            throw error
        }
    }

    private func rows(of result: OpaquePointer?) throws(DatabaseError) -> [Row] {
        defer { PQclear(result) }
        switch PQresultStatus(result) {
        case PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
            return []
        case PGRES_TUPLES_OK:
            let columns = PQnfields(result)
            let types = (0..<columns).map { PQftype(result, $0) }
            return (0..<PQntuples(result)).map { row in
                let values = (0..<columns).map { column -> [UInt8]? in
                    guard PQgetisnull(result, row, column) == 0, let value = PQgetvalue(result, row, column) else {
                        return nil
                    }
                    let length = Int(PQgetlength(result, row, column))
                    return Array(UnsafeRawBufferPointer(start: value, count: length))
                }
                return Row(values: values, typeOIDs: types)
            }
        default:
            throw error(of: result)
        }
    }

    private func error(of result: OpaquePointer?) -> DatabaseError {
        let field = { (code: Int32) in PQresultErrorField(result, code).map { String(cString: $0) } }
        // 'C' and 'M' are PG_DIAG_SQLSTATE and PG_DIAG_MESSAGE_PRIMARY, character macros that Swift does not import.
        guard let sqlState = field(Int32(UInt8(ascii: "C"))) else {
            return .connectionLost(reason: Self.message(of: handle))
        }
        let message = field(Int32(UInt8(ascii: "M"))) ?? "no message"
        if isBroken || sqlState.hasPrefix("08") || ["57P01", "57P02", "57P03"].contains(sqlState) {
            return .connectionLost(reason: "\(message) (SQLSTATE \(sqlState)).")
        }
        return .server(sqlState: sqlState, message: message + ".", advice: SQLStateAdvice.advice(for: sqlState))
    }

    private static func message(of handle: OpaquePointer) -> String {
        let message = String(cString: PQerrorMessage(handle))
        return message.split(whereSeparator: \.isNewline).map { $0.trimmingSpaces() }.joined(separator: "; ") + "."
    }
}

/// Calls `body` with the strings as a C array that ends with NULL.
private func withCStrings<Value>(
    _ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Value
) -> Value {
    var bytes: [CChar] = []
    var offsets: [Int] = []
    for string in strings {
        offsets.append(bytes.count)
        bytes += string.utf8CString
    }
    return bytes.withUnsafeBufferPointer { buffer in
        let pointers = offsets.map { offset in buffer.baseAddress.map { $0 + offset } } + [nil]
        return pointers.withUnsafeBufferPointer { pointers in
            // An array that ends with NULL is never empty.
            body(pointers.baseAddress.unsafelyUnwrapped)
        }
    }
}

extension Substring {
    fileprivate func trimmingSpaces() -> Substring {
        let rest = drop { $0.isWhitespace }
        return rest.lastIndex { !$0.isWhitespace }.map { rest[...$0] } ?? ""
    }
}
