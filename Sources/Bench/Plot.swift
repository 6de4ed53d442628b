/// Lines over a logarithmic axis, as a scalable picture.
struct Plot {
    struct Line {
        let name: String
        let points: [(x: Double, y: Double)]
    }

    let title: String
    let xTitle: String
    let yTitle: String
    let lines: [Line]

    private static let (width, height) = (640.0, 400.0)
    private static let (left, right, top, bottom) = (70.0, 110.0, 40.0, 50.0)
    private static let colours = ["#1b6ca8", "#c8553d", "#3a7d44", "#7a5195", "#8a6d3b", "#444444"]

    var svg: String {
        let points = lines.flatMap(\.points)
        let xs = Set(points.map(\.x)).sorted()
        guard let first = xs.first, let last = xs.last, let highest = points.map(\.y).max(), highest > 0 else {
            return "<svg xmlns=\"http://www.w3.org/2000/svg\"/>"
        }
        let most = Self.roundedUp(highest)
        func place(_ x: Double, _ y: Double) -> (x: String, y: String) {
            let part = last > first ? (Self.log2(x) - Self.log2(first)) / (Self.log2(last) - Self.log2(first)) : 0
            let across = Self.left + part * (Self.width - Self.left - Self.right)
            let down = Self.height - Self.bottom - y / most * (Self.height - Self.top - Self.bottom)
            return (SpeedReport.fixed(across, 1), SpeedReport.fixed(down, 1))
        }
        var parts = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 640 400\" font-family=\"sans-serif\" font-size=\"12\">",
            "<rect width=\"640\" height=\"400\" fill=\"white\"/>",
            "<text x=\"70\" y=\"22\" font-size=\"15\">\(title)</text>",
            "<text x=\"300\" y=\"390\" text-anchor=\"middle\">\(xTitle)</text>",
            "<text x=\"18\" y=\"200\" text-anchor=\"middle\" transform=\"rotate(-90 18 200)\">\(yTitle)</text>",
        ]
        for step in 0...4 {
            let y = most * Double(step) / 4
            let (start, end) = (place(first, y), place(last, y))
            parts.append(
                "<line x1=\"\(start.x)\" y1=\"\(start.y)\" x2=\"\(end.x)\" y2=\"\(end.y)\" stroke=\"#dddddd\"/>")
            parts.append(
                "<text x=\"62\" y=\"\(start.y)\" text-anchor=\"end\">\(SpeedReport.fixed(y, y < 10 ? 1 : 0))</text>")
        }
        for x in xs {
            parts.append(
                "<text x=\"\(place(x, 0).x)\" y=\"368\" text-anchor=\"middle\">\(SpeedReport.fixed(x, 0))</text>")
        }
        for (number, line) in lines.enumerated() {
            let colour = Self.colours[number % Self.colours.count]
            let places = line.points.map { place($0.x, $0.y) }
            parts.append(
                "<polyline fill=\"none\" stroke=\"\(colour)\" stroke-width=\"2\" points=\""
                    + places.map { "\($0.x),\($0.y)" }.joined(separator: " ") + "\"/>")
            parts += places.map { "<circle cx=\"\($0.x)\" cy=\"\($0.y)\" r=\"3\" fill=\"\(colour)\"/>" }
            parts.append("<text x=\"545\" y=\"\(60 + 18 * number)\" fill=\"\(colour)\">\(line.name)</text>")
        }
        return (parts + ["</svg>", ""]).joined(separator: "\n")
    }

    private static func log2(_ value: Double) -> Double {
        // The exponent and the rest of the way to the next one: enough for a picture, and without the C library.
        Double(value.exponent) + (value.significand - 1)
    }

    private static func roundedUp(_ value: Double) -> Double {
        var unit = 1.0
        while unit * 10 <= value { unit *= 10 }
        while unit > value { unit /= 10 }
        return [1, 2, 4, 8, 10].map { $0 * unit }.first { $0 >= value } ?? 10 * unit
    }
}
