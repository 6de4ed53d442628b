/// Tokens that are matched as literal text before anything else.
struct AddedTokens: Sendable {
    enum Part {
        case text([UInt8])
        case token(Int32)
    }

    /// Tokens by their first byte, longest first.
    private typealias Table = [UInt8: [(bytes: [UInt8], id: Int32)]]

    /// As in Hugging Face's tokenizers, those marked `normalized` are looked for in what the others leave.
    private let tables: [Table]
    private let ids: [String: Int32]

    init(_ tokens: [TokenizerFile.AddedToken]) {
        var tables: [Table] = [[:], [:]]
        var ids: [String: Int32] = [:]
        for token in tokens {
            let bytes = Array(token.content.utf8)
            guard let first = bytes.first else { continue }
            tables[token.normalized == true ? 1 : 0][first, default: []].append(
                (bytes, Int32(truncatingIfNeeded: token.id)))
            ids[token.content] = Int32(truncatingIfNeeded: token.id)
        }
        self.tables = tables.map { table in
            table.mapValues { $0.sorted { $0.bytes.count > $1.bytes.count } }
        }
        self.ids = ids
    }

    func id(of token: String) -> Int32? { ids[token] }

    /// The text cut at its tokens; where several match at a place, the longest.
    func split(_ text: [UInt8]) -> [Part] {
        tables.reduce([.text(text)]) { parts, table in
            parts.flatMap { part in
                if case .text(let text) = part { Self.split(text, by: table) } else { [part] }
            }
        }
    }

    private static func split(_ text: [UInt8], by table: Table) -> [Part] {
        var parts: [Part] = []
        var start = 0
        var at = 0
        while at < text.count {
            let rest = text[at...]
            guard let match = table[text[at]]?.first(where: { rest.starts(with: $0.bytes) }) else {
                at += 1
                continue
            }
            if start < at { parts.append(.text(Array(text[start..<at]))) }
            parts.append(.token(match.id))
            at += match.bytes.count
            start = at
        }
        if start < text.count { parts.append(.text(Array(text[start...]))) }
        return parts
    }
}
