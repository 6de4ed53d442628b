/// Rows of a picture, counted from 0, that could not be decoded.
struct LostRows: Sendable, Equatable {
    private(set) var ranges: [Range<Int>] = []

    var count: Int { ranges.reduce(0) { $0 + $1.count } }
    var isEmpty: Bool { ranges.isEmpty }

    mutating func add(_ row: Int) { add(row..<row + 1) }

    /// Rows come in ascending order.
    mutating func add(_ rows: Range<Int>) {
        guard !rows.isEmpty else { return }
        if let last = ranges.last, last.upperBound >= rows.lowerBound {
            ranges[ranges.count - 1] = last.lowerBound..<max(last.upperBound, rows.upperBound)
        } else {
            ranges.append(rows)
        }
    }

    /// Such as "rows 1,204 to 3,508 of 3,508", where each of these rows stands for `scale` of the picture's.
    func text(of height: Int, scale: Int = 1) -> String {
        let most = 3
        let named = ranges.prefix(most).map { range in
            let (first, last) = (range.lowerBound * scale + 1, min(height, range.upperBound * scale))
            return first == last ? Self.grouped(first) : "\(Self.grouped(first)) to \(Self.grouped(last))"
        }
        let more = ranges.count > most ? " and \(ranges.count - most) further stretches" : ""
        return "rows \(named.joined(separator: ", "))\(more) of \(Self.grouped(height))"
    }

    private static func grouped(_ number: Int) -> String {
        let digits = Array(String(number))
        return digits.indices.reduce(into: "") { text, at in
            if at > 0, (digits.count - at) % 3 == 0 { text += "," }
            text.append(digits[at])
        }
    }
}
