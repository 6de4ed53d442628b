/// A value as Python writes it, as far as boxes need it: the model was trained to write boxes as Python lists.
///
/// Nothing is evaluated. Lists, tuples, decimal numbers, strings and the three constants are read, with comments and
/// trailing commas; anything else is not a value (MODEL.md section 10).
enum PythonLiteral: Equatable, Sendable {
    case number(Double)
    case sequence([PythonLiteral])
    /// A string, `True`, `False` or `None`.
    case other

    /// Brackets nested deeper than this are not read, as in Python.
    static let deepest = 200
    /// Whole numbers with more digits are not read, as in Python.
    static let mostDigits = 4300

    /// Reads a text that is one value, or several with commas between them; nil for anything else.
    init?(_ text: [UInt8]) {
        var parser = LiteralParser(text: Array(ByteText.stripped(text[...])))
        guard let value = parser.whole() else { return nil }
        self = value
    }
}

private struct LiteralParser {
    let text: [UInt8]
    var at = 0
    var depth = 0

    init(text: [UInt8]) { self.text = text }

    private var next: UInt8? { at < text.count ? text[at] : nil }

    private mutating func take(_ byte: Character) -> Bool {
        guard let next, next == byte.asciiValue else { return false }
        at += 1
        return true
    }

    mutating func whole() -> PythonLiteral? {
        guard let values = values(until: nil) else { return nil }
        return at == text.count ? values : nil
    }

    /// Values up to the closing bracket or the end; one value without a comma is itself, not a sequence.
    private mutating func values(until close: Character?) -> PythonLiteral? {
        var items: [PythonLiteral] = []
        var hasComma = false
        var isSeparated = true
        while true {
            skipSpace()
            if let close, take(close) {
                return close == ")" && items.count == 1 && !hasComma ? items[0] : .sequence(items)
            }
            guard next != nil else {
                guard close == nil, let first = items.first else { return nil }
                return hasComma ? .sequence(items) : first
            }
            guard isSeparated, let item = value() else { return nil }
            items.append(item)
            skipSpace()
            isSeparated = take(",")
            hasComma = hasComma || isSeparated
        }
    }

    private mutating func value() -> PythonLiteral? {
        guard let next else { return nil }
        switch next {
        case UInt8(ascii: "["): return nested("]")
        case UInt8(ascii: "("): return nested(")")
        case UInt8(ascii: "-"), UInt8(ascii: "+"):
            at += 1
            skipSpace()
            guard let operand = self.next, operand != next, operand != UInt8(ascii: "-"), operand != UInt8(ascii: "+"),
                case .number(let value)? = value()
            else { return nil }
            return .number(next == UInt8(ascii: "-") ? -value : value)
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."): return number()
        default: return word()
        }
    }

    private mutating func nested(_ close: Character) -> PythonLiteral? {
        guard depth < PythonLiteral.deepest else { return nil }
        at += 1
        depth += 1
        defer { depth -= 1 }
        return values(until: close)
    }

    /// White space and comments; line ends only inside brackets.
    private mutating func skipSpace() {
        while let next {
            switch next {
            case UInt8(ascii: " "), UInt8(ascii: "\t"), 0x0C: at += 1
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"):
                guard depth > 0 else { return }
                at += 1
            case UInt8(ascii: "#"):
                while at < text.count, text[at] != UInt8(ascii: "\n") { at += 1 }
            default: return
            }
        }
    }

    // MARK: Numbers

    /// A decimal number: `12`, `1_000`, `1.5`, `.5`, `5.`, `1e-3`; no leading zeros before other digits of a whole number.
    private mutating func number() -> PythonLiteral? {
        var digits: [UInt8] = []
        guard let whole = digitRun(into: &digits) else { return nil }
        var isWhole = true
        var count = whole
        if take(".") {
            isWhole = false
            digits.append(UInt8(ascii: "."))
            guard let fraction = digitRun(into: &digits) else { return nil }
            count += fraction
        }
        guard count > 0 else { return nil }
        if let letter = next, letter | 0x20 == UInt8(ascii: "e") {
            isWhole = false
            at += 1
            digits.append(letter)
            if let sign = next, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
                at += 1
                digits.append(sign)
            }
            guard let exponent = digitRun(into: &digits), exponent > 0 else { return nil }
        }
        if isWhole {
            guard count <= PythonLiteral.mostDigits else { return nil }
            guard digits[0] != UInt8(ascii: "0") || digits.allSatisfy({ $0 == UInt8(ascii: "0") }) else { return nil }
        }
        if let next, isWordByte(next) || next == UInt8(ascii: ".") { return nil }
        return Double("0" + String(decoding: digits, as: UTF8.self)).map { .number($0) }
    }

    /// Digits with single underscores between them; nil where an underscore is misplaced.
    private mutating func digitRun(into digits: inout [UInt8]) -> Int? {
        var count = 0
        var afterDigit = false
        while let next {
            if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(next) {
                digits.append(next)
                count += 1
                afterDigit = true
            } else if next == UInt8(ascii: "_") {
                guard afterDigit else { return nil }
                afterDigit = false
            } else {
                break
            }
            at += 1
        }
        return count == 0 || afterDigit ? count : nil
    }

    // MARK: Words and strings

    private mutating func word() -> PythonLiteral? {
        let start = at
        while let next, isWordByte(next) { at += 1 }
        let word = String(decoding: text[start..<at], as: UTF8.self)
        if let quote = next, quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") {
            return ["", "r", "u", "b", "rb", "br"].contains(word.lowercased()) ? strings(quote) : nil
        }
        return ["True", "False", "None"].contains(word) ? .other : nil
    }

    /// One string, or several that follow each other.
    private mutating func strings(_ first: UInt8) -> PythonLiteral? {
        var quote: UInt8? = first
        while let mark = quote {
            guard string(mark) else { return nil }
            skipSpace()
            quote = next.flatMap { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "'") ? $0 : nil }
        }
        return .other
    }

    private mutating func string(_ quote: UInt8) -> Bool {
        let triple = [quote, quote, quote]
        let isTriple = text[at...].starts(with: triple)
        at += isTriple ? 3 : 1
        while let next {
            if next == UInt8(ascii: "\\") {
                at += 2
            } else if isTriple ? text[at...].starts(with: triple) : next == quote {
                at += isTriple ? 3 : 1
                return true
            } else if !isTriple, next == UInt8(ascii: "\n") {
                return false
            } else {
                at += 1
            }
        }
        return false
    }

    private func isWordByte(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "_") || byte >= 0x80 || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }
}
