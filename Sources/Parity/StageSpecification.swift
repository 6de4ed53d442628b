import Inference

/// What a `stages-NAME` file was made of, as far as `spec.py` says it in its `"stages"`.
///
/// The file is Python; nothing of it is run. Tuples that start with a name are looked for: `(name, mode, image, full)`
/// with a mode's name or `(base, tile, crop)`, or `(mode, image)`.
struct StageSpecification: Equatable {
    let name: String
    let geometry: ViewGeometry?
    let image: String?

    /// The stages that a specification names.
    static func stages(in text: String) -> [StageSpecification] {
        guard let start = ByteScanner.end(of: "\"stages\":", in: Array(text.utf8)) else { return [] }
        var scanner = ByteScanner(bytes: Array(text.utf8), at: start)
        var groups: [[ByteScanner.Item]] = []
        _ = scanner.group(into: &groups)
        return groups.compactMap { group in
            guard case .text(let name)? = group.first else { return nil }
            let texts = group.dropFirst().compactMap { if case .text(let text) = $0 { text } else { nil } }
            guard let image = texts.last else { return nil }
            var mode = name
            if texts.count > 1, case .text(let named) = group[1] { mode = named }
            var geometry = ResolutionMode(rawValue: mode)?.geometry
            if case .group(let parts) = group[1], parts.count == 3, case .number(let base) = parts[0],
                case .number(let tile) = parts[1], case .flag(let crops) = parts[2]
            {
                geometry = ViewGeometry(base: base, tile: tile, crops: crops)
            }
            return StageSpecification(name: name, geometry: geometry, image: image)
        }
    }
}

/// Finds bracketed groups of strings, whole numbers and truth values in Python text; anything else is passed over.
private struct ByteScanner {
    enum Item {
        case text(String)
        case number(Int)
        case flag(Bool)
        case group([Item])
    }

    let bytes: [UInt8]
    var at: Int

    static func end(of needle: String, in bytes: [UInt8]) -> Int? {
        let needle = Array(needle.utf8)
        guard bytes.count >= needle.count else { return nil }
        return (0...(bytes.count - needle.count)).first { bytes[$0...].starts(with: needle) }.map { $0 + needle.count }
    }

    /// Reads up to the bracket that closes the first one met, and appends every group in it, inner ones first.
    mutating func group(into groups: inout [[Item]], depth: Int = 0) -> [Item] {
        var items: [Item] = []
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            switch byte {
            case UInt8(ascii: "("), UInt8(ascii: "["):
                guard depth < 50 else { return items }
                items.append(.group(group(into: &groups, depth: depth + 1)))
                if depth == 0 { return items }
            case UInt8(ascii: ")"), UInt8(ascii: "]"):
                groups.append(items)
                return items
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                let end = bytes[at...].firstIndex(of: byte) ?? bytes.count
                items.append(.text(String(decoding: bytes[at..<end], as: UTF8.self)))
                at = min(end + 1, bytes.count)
            default:
                if let item = word(from: at - 1) { items.append(item) }
            }
        }
        return items
    }

    private mutating func word(from start: Int) -> Item? {
        func isWordByte(_ byte: UInt8) -> Bool {
            let character = Character(Unicode.Scalar(byte))
            return character.isASCII && (character.isLetter || character.isNumber || character == "_")
        }
        guard isWordByte(bytes[start]) else { return nil }
        while at < bytes.count, isWordByte(bytes[at]) { at += 1 }
        let word = String(decoding: bytes[start..<at], as: UTF8.self)
        if let number = Int(word) { return .number(number) }
        return word == "True" ? .flag(true) : word == "False" ? .flag(false) : nil
    }
}
