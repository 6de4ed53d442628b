/// How readers of Markdown may take the line at hand, as far as it is known without taking a page apart into blocks.
struct Reading {
    enum HTML {
        /// No tag has begun a line since the last blank one.
        case none
        /// A tag stands where HTML may begin: some readers take what follows for HTML.
        case possible
        /// A table or `center` began at a line's very start: HTML for every reader, up to a blank line.
        case certain
    }

    private(set) var html = HTML.none
    /// Counts the stretches that are HTML for certain.
    private(set) var htmlBlock = 0
    /// Whether a code fence in a list or a quotation may be open.
    private(set) var mayBeFenced = false
    /// Whether backticks without partners stand between here and the last blank line.
    private var hasLooseBackticks = false
    private var isIndented = false
    /// The spans of this line that are code in every reading; there are none where HTML may have begun.
    private(set) var spans: ArraySlice<Range<Int>> = []

    /// Whether the line may be code, although it is not so in every reading.
    var mayBeCode: Bool { mayBeFenced || hasLooseBackticks || isIndented || html == .possible }

    /// Takes note of a line of text that begins, with its end.
    mutating func begin(_ line: ArraySlice<UInt8>) {
        if line.isBlankLine {
            html = .none
            hasLooseBackticks = false
        } else if let first = line.first, !first.isASCIISpace, first != UInt8(ascii: ">") {
            // It ends all lists and quotations, or begins a list.
            mayBeFenced = false
        }
        if Self.holdsFence(line) { mayBeFenced = true }
        let indent = line.prefix { $0 == 0x20 || $0 == 0x09 }
        isIndented = indent.count >= 4 || indent.contains(0x09)
        if let found = CodeSpans.find(in: line) {
            spans = found[...]
        } else {
            hasLooseBackticks = true
        }
        if hasLooseBackticks || html != .none { spans = [] }
    }

    /// The line's backticks are text after all, and those of the lines up to a blank one.
    mutating func doubtBackticks() {
        hasLooseBackticks = true
        spans = []
    }

    mutating func beginHTML(isCertain: Bool) {
        guard html != .certain else { return }
        html = isCertain ? .certain : .possible
        if isCertain { htmlBlock += 1 }
        spans = []
    }

    mutating func passCode() {
        html = .none
        hasLooseBackticks = false
        mayBeFenced = false
    }

    /// The span that begins at `index`.
    mutating func span(at index: Int) -> Range<Int>? {
        while let first = spans.first, first.lowerBound < index { spans.removeFirst() }
        return spans.first?.lowerBound == index ? spans.first : nil
    }

    /// Whether a fence stands behind markers of lists or quotations, or behind four columns.
    private static func holdsFence(_ line: ArraySlice<UInt8>) -> Bool {
        let rest = line.drop { !$0.isASCIILetter && $0 != UInt8(ascii: "`") && $0 != UInt8(ascii: "~") }
        guard let mark = rest.first, !mark.isASCIILetter else { return false }
        return rest.prefix { $0 == mark }.count >= 3
    }
}
