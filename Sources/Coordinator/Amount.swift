/// Numbers with their nouns, as sentences have them.
package enum Amount {
    /// `1 page`, `2 pages`.
    package static func pages(_ count: Int) -> String { of(count, "page", "pages") }

    /// `1 file`, `2 files`.
    package static func files(_ count: Int) -> String { of(count, "file", "files") }

    /// `1 document`, `2 documents`.
    package static func documents(_ count: Int) -> String { of(count, "document", "documents") }

    /// With one digit after the point: `7.9`.
    package static func decimal(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "-" }
        let tenths = Int((value * 10).rounded())
        return "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)"
    }

    private static func of(_ count: Int, _ one: String, _ many: String) -> String {
        "\(count) \(count == 1 ? one : many)"
    }
}
