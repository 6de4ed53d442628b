private import CLibPQ

#if canImport(Glibc)
    private import Glibc
#endif

/// An open libpq connection.
///
/// All calls block, though never for ever; whoever has one uses it on a queue or thread of its own.
final class Connection {
    private let handle: OpaquePointer
    private var limits: StatementLimits
    /// Limits that nobody else has set.
    private var ownLimits: Set<String> = []
    /// Of another's, longer limit.
    private var givenStatementSeconds = 0.0
    /// True once the other side is taken for gone.
    private var isAbandoned = false

    /// True behind a pooler, which may give each transaction another session of the server.
    ///
    /// Then nothing lasts beyond a transaction: no SET, no LISTEN, no session lock, no prepared statement.
    private(set) var isPooled = false

    /// Connects, or throws `connectionLost` or `badSettings`.
    init(connectionString: String, limits: StatementLimits = .long) throws(DatabaseError) {
        try ConnectionString.validate(connectionString)
        let opened = Self.withParameters(of: connectionString) { PQconnectdbParams($0, $1, 1) }
        guard let opened else { throw .connectionLost(reason: "there is no memory for a connection.") }
        guard PQstatus(opened) == CONNECTION_OK else {
            let reason = ConnectionString.redact(Self.message(of: opened), connectionString)
            PQfinish(opened)
            throw .connectionLost(reason: reason)
        }
        PQsetNoticeProcessor(opened, { _, _ in }, nil)
        PQsetnonblocking(opened, 1)
        handle = opened
        self.limits = limits
        try beginSession()
    }

    deinit { PQfinish(handle) }

    var isBroken: Bool { isAbandoned || PQstatus(handle) != CONNECTION_OK }

    /// True where a server answers, if only to refuse; false where none is there or it is just starting.
    static func isAnswered(connectionString: String) -> Bool {
        let answer = withParameters(of: connectionString) { PQpingParams($0, $1, 1) }
        return answer == PQPING_OK || answer == PQPING_NO_ATTEMPT
    }

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
        let isSent = buffer.withUnsafeBytes { bytes in
            let base = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
            let pointers = ranges.map { range in range.flatMap { range in base.map { $0 + range.lowerBound } } }
            return PQsendQueryParams(handle, sql, Int32(parameters.count), types, pointers, lengths, formats, 1)
        }
        return try rows(of: answer(isSent))
    }

    /// Runs a script of several statements without parameters.
    func execute(script: String) throws(DatabaseError) {
        _ = try rows(of: answer(PQsendQuery(handle, script)))
    }

    /// Runs `body` between BEGIN and COMMIT; an error rolls back.
    ///
    /// `other` limits hold for this transaction.
    func transaction<Value>(
        limits other: StatementLimits? = nil, _ body: () throws(DatabaseError) -> Value
    ) throws(DatabaseError) -> Value {
        let usual = limits
        limits = other ?? usual
        defer { limits = usual }
        let isSet = !isPooled && other == nil
        try execute(script: isSet ? "BEGIN" : "BEGIN; " + setting("SET LOCAL"))
        do throws(DatabaseError) {
            let value = try body()
            try execute(script: "COMMIT")
            return value
        } catch {
            if !isBroken { try? execute(script: "ROLLBACK") }
            throw error
        }
    }

    /// Waits up to `seconds` for a notification of a channel that LISTEN was said to; true if there was one.
    func waitForNotification(seconds: Double) throws(DatabaseError) -> Bool {
        _ = try wait(for: POLLIN, seconds: seconds)
        guard PQconsumeInput(handle) == 1 else { throw .connectionLost(reason: Self.message(of: handle)) }
        var hasSome = false
        while let notification = PQnotifies(handle) {
            PQfreemem(notification)
            hasSome = true
        }
        return hasSome
    }

    /// Finds out what lies between here and the server, and sets the limits that nobody else has set.
    private func beginSession() throws(DatabaseError) {
        let names = limits.settings.map(\.name)
        let values = names.map { "extract(epoch FROM current_setting('\($0)')::interval)::float8" }
        let rows = try query("SELECT pg_backend_pid(), \(values.joined(separator: ", "))")
        guard var row = rows.first else { throw .unexpectedAnswer(reason: "no process number.") }
        // A pooler answers with a number of its own, as it cannot know in whose session the next transaction will be.
        isPooled = try row.int64() != Int64(PQbackendPID(handle))
        for name in names {
            let seconds = try row.double()
            if seconds == 0 {
                ownLimits.insert(name)
            } else if name == "statement_timeout" {
                givenStatementSeconds = seconds
            }
        }
        if !isPooled, !ownLimits.isEmpty { try execute(script: setting("SET")) }
    }

    private func setting(_ verb: String) -> String {
        limits.settings.filter { ownLimits.contains($0.name) }.map { "\(verb) \($0.name) = \($0.milliseconds)" }
            .joined(separator: "; ")
    }

    /// Sends what waits to be sent and returns the last result, or the first that is an error; nil if it was not sent.
    private func answer(_ isSent: Int32) throws(DatabaseError) -> OpaquePointer? {
        guard isSent == 1 else { return nil }
        while PQflush(handle) == 1 {
            let ready = try awaitProgress(POLLIN | POLLOUT)
            // The server may have to get rid of its answer before it reads on.
            if ready & POLLIN != 0, PQconsumeInput(handle) == 0 { break }
        }
        var last: OpaquePointer?
        while true {
            while PQisBusy(handle) == 1 {
                do throws(DatabaseError) {
                    _ = try awaitProgress(POLLIN)
                } catch {
                    PQclear(last)
                    throw error
                }
                if PQconsumeInput(handle) == 0 { break }
            }
            guard let next = PQgetResult(handle) else { return last }
            if last != nil, PQresultStatus(last) == PGRES_FATAL_ERROR {
                PQclear(next)
            } else {
                PQclear(last)
                last = next
            }
            if [PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH].contains(PQresultStatus(last)) { return last }
        }
    }

    /// Waits until the connection can be read or written; throws `connectionLost` where it has been silent for too long.
    private func awaitProgress(_ events: Int32) throws(DatabaseError) -> Int32 {
        let seconds = max(limits.silenceSeconds, givenStatementSeconds + limits.graceSeconds)
        let ready = try wait(for: events, seconds: seconds)
        guard ready == 0 else { return ready }
        isAbandoned = true
        throw .connectionLost(
            reason:
                "there was no answer for \(Int(seconds)) seconds. The server, or what lies before it, is taken for dead."
        )
    }

    /// The events that came; 0 if none did in time.
    private func wait(for events: Int32, seconds: Double) throws(DatabaseError) -> Int32 {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while true {
            var descriptor = pollfd(fd: PQsocket(handle), events: Int16(events), revents: 0)
            guard descriptor.fd >= 0 else { throw .connectionLost(reason: Self.message(of: handle)) }
            let left = max(.zero, deadline - .now)
            let milliseconds = left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000
            let count = poll(&descriptor, 1, Int32(clamping: milliseconds + 1))
            if count > 0 {
                // What is wrong with a connection shows when it is read.
                let isWrong = Int32(descriptor.revents) & ~(POLLIN | POLLOUT) != 0
                return Int32(descriptor.revents) & (POLLIN | POLLOUT) | (isWrong ? POLLIN : 0)
            }
            if count == 0 || errno != EINTR, ContinuousClock.now >= deadline { return 0 }
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

    /// What libpq is given: defaults of ours, then the string, which wins.
    ///
    /// A peer that is gone is found within half a minute, whether it owes an acknowledgement (tcp_user_timeout) or an
    /// answer (keepalives); `silenceSeconds` covers those that go on acknowledging.
    private static func withParameters<Value>(
        of connectionString: String,
        _ body: (UnsafePointer<UnsafePointer<CChar>?>, UnsafePointer<UnsafePointer<CChar>?>) -> Value
    ) -> Value {
        var parameters = [
            ("fallback_application_name", "quire"), ("client_encoding", "UTF8"), ("keepalives_idle", "10"),
            ("keepalives_interval", "5"), ("keepalives_count", "3"), ("tcp_user_timeout", "25000"),
        ]
        if getenv("PGCONNECT_TIMEOUT") == nil { parameters.append(("connect_timeout", "15")) }
        parameters.append(("dbname", connectionString))
        return withCStrings(parameters.map(\.0)) { keywords in
            withCStrings(parameters.map(\.1)) { values in body(keywords, values) }
        }
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
