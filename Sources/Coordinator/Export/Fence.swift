/// The line that opens fenced code, as CommonMark takes it outside of lists and quotations.
struct Fence {
    /// Spaces in front, at most 3.
    let indent: Int
    /// Whether some readers may take the line for a table's first.
    let mayBeTable: Bool
    private let mark: UInt8
    private let length: Int

    init?(_ line: ArraySlice<UInt8>) {
        indent = line.prefix { $0 == 0x20 }.count
        let rest = line.dropFirst(indent)
        guard indent < 4, let mark = rest.first, mark == UInt8(ascii: "`") || mark == UInt8(ascii: "~") else {
            return nil
        }
        self.mark = mark
        length = rest.prefix { $0 == mark }.count
        guard length >= 3 else { return nil }
        mayBeTable = rest.contains(UInt8(ascii: "|"))
        if mark == UInt8(ascii: "`"), rest.dropFirst(length).contains(mark) { return nil }
    }

    var closing: [UInt8] { [UInt8](repeating: mark, count: length) }

    /// Whether the line ends this code at the page's top level, with only spaces and tabs behind the marks.
    func isClosed(by line: ArraySlice<UInt8>) -> Bool {
        let spaces = line.prefix { $0 == 0x20 }.count
        return spaces < 4 && line.dropFirst(spaces).first == mark && mayBeClosed(by: line)
    }

    /// Whether the line could end this code in some list, however deep.
    private func mayBeClosed(by line: ArraySlice<UInt8>) -> Bool {
        let rest = line.drop { $0 == 0x20 || $0 == 0x09 }
        let count = rest.prefix { $0 == mark }.count
        return count >= length && rest.dropFirst(count).isBlankLine
    }

    /// Where code that is indented ends, as the index of its last line; nil if readers could differ.
    ///
    /// Whether it belongs to a list or not, it is the same code if all its lines are indented as much as the fence, and the
    /// first that could end it has the very same indent.
    func indentedEnd(in lines: [ArraySlice<UInt8>], after index: Int) -> Int? {
        for other in lines.indices[(index + 1)...].prefix(Self.reach) {
            let line = lines[other]
            let spaces = line.prefix { $0 == 0x20 }.count
            if mayBeClosed(by: line) { return spaces == indent ? other : nil }
            guard spaces >= indent || line.isBlankLine else { return nil }
        }
        return nil
    }

    /// Lines that are searched for the end of code which is indented.
    private static let reach = 2000
}

extension ArraySlice<UInt8> {
    /// Whether CommonMark takes the line for a blank one: form feeds, for one, are text.
    var isBlankLine: Bool { allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D } }
}
