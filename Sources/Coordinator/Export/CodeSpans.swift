/// Code between backticks that is code in every reading: it begins and ends on one line and holds no `|`, which in a table
/// would end a cell.
enum CodeSpans {
    /// The spans of a line, backticks included; nil where readers could differ: some backticks have no partner on the line,
    /// a span holds a `|` or `]:`, which ends the label of a definition, or a backslash or an address stands before it.
    ///
    /// Where every line has its partners, it does not matter which lines make up a paragraph.
    static func find(in line: ArraySlice<UInt8>) -> [Range<Int>]? {
        var spans: [Range<Int>] = []
        var index = line.startIndex
        while let start = line[index...].firstIndex(of: UInt8(ascii: "`")) {
            // Where bare addresses are links, backticks may be a part of one.
            let word = line[index..<start].split(whereSeparator: \.isASCIISpace).last ?? []
            let isAddress = word.contains(UInt8(ascii: ":")) || String(decoding: word, as: UTF8.self).contains("www.")
            if isAddress, word.endIndex == start { return nil }
            let length = line[start...].prefix { $0 == UInt8(ascii: "`") }.count
            var end = start + length
            var count = 0
            while end < line.endIndex, count != length {
                let isLabelEnd = line[end] == UInt8(ascii: ":") && line[end - 1] == UInt8(ascii: "]")
                guard line[end] != UInt8(ascii: "|"), !isLabelEnd else { return nil }
                count = line[end...].prefix { $0 == UInt8(ascii: "`") }.count
                if count > 0, line[end - 1] == UInt8(ascii: "\\") { return nil }
                end += max(1, count)
            }
            guard count == length, start == line.startIndex || line[start - 1] != UInt8(ascii: "\\") else { return nil }
            spans.append(start..<end)
            index = end
        }
        return spans
    }
}
