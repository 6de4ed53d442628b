private import CLibPQ

/// Checks and makes libpq connection strings; never repeats one in a message.
enum ConnectionString {
    /// Throws `badSettings` for what libpq could not read, as its own messages quote pieces of the string.
    static func validate(_ text: String) throws(DatabaseError) {
        guard let options = PQconninfoParse(text, nil) else {
            throw .badSettings(
                reason: "DATABASE_URL is no connection string that PostgreSQL understands. It should look like "
                    + "postgresql://user:password@host:5432/database; special characters in the password are written "
                    + "as %XX.")
        }
        defer { PQconninfoFree(options) }
        guard let port = value(of: "port", in: options) else { return }
        guard
            port.split(separator: ",", omittingEmptySubsequences: false).allSatisfy({ $0.isEmpty || UInt16($0) != nil })
        else {
            throw .badSettings(
                reason: "The port in DATABASE_URL is no number from 1 to 65535. If the password holds `/`, `@`, `:` or "
                    + "`#`, write these as %2F, %40, %3A or %23.")
        }
    }

    /// `message` without the password that `text` holds.
    static func redact(_ message: String, _ text: String) -> String {
        guard let options = PQconninfoParse(text, nil) else { return message }
        defer { PQconninfoFree(options) }
        guard let password = value(of: "password", in: options), !password.isEmpty else { return message }
        var pieces: [Substring] = []
        var rest = message[...]
        while let range = firstRange(of: password, in: rest) {
            pieces.append(rest[..<range.lowerBound])
            rest = rest[range.upperBound...]
        }
        return (pieces + [rest]).joined(separator: "[password]")
    }

    /// A value as a keyword/value connection string quotes it.
    static func quoted(_ value: String) -> String {
        let escaped = value.map { $0 == "'" || $0 == "\\" ? "\\\($0)" : String($0) }.joined()
        return "'\(escaped)'"
    }

    private static func firstRange(of needle: String, in text: Substring) -> Range<Substring.Index>? {
        text.indices.lazy.compactMap { start in
            text[start...].hasPrefix(needle) ? start..<text.index(start, offsetBy: needle.count) : nil
        }.first
    }

    private static func value(of keyword: String, in options: UnsafePointer<PQconninfoOption>) -> String? {
        var option = options
        while let name = option.pointee.keyword {
            if String(cString: name) == keyword { return option.pointee.val.map { String(cString: $0) } }
            option += 1
        }
        return nil
    }
}
