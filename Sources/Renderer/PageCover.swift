/// Which parts of a page pictures cover, by points of a grid over it.
struct PageCover {
    private static let side = 64
    /// Of all points, those that must be covered for a page to be a scan.
    private static let leastOfPage = 0.9
    /// The same for pictures of a resolution to count among those that make the scan.
    private static let leastOfGroup = 0.02
    /// Pictures of one resolution differ by no more than this factor: strips and tiles are cut at whole pixels.
    private static let sameResolution = 1.05

    /// Dots an inch of the finest pictures among those that together fill the page; nil where pictures do not fill it.
    ///
    /// `page` is the size in points of the page's own unit, of which one is `userUnit` / 72 inches.
    static func resolution(
        _ pictures: [PDFPicture], page: (width: Double, height: Double), userUnit: Double
    ) -> Double? {
        var all = [Bool](repeating: false, count: side * side)
        var covered = 0
        var groups: [(dpi: Double, points: Int)] = []
        for picture in pictures {
            let points = Self.points(under: picture, page)
            guard !points.isEmpty else { continue }
            for point in points where !all[point] {
                all[point] = true
                covered += 1
            }
            let dpi = picture.resolution(userUnit: userUnit)
            if let place = groups.firstIndex(where: {
                max($0.dpi, dpi) <= sameResolution * min($0.dpi, dpi)
            }) {
                groups[place].points += points.count
                groups[place].dpi = max(groups[place].dpi, dpi)
            } else {
                groups.append((dpi, points.count))
            }
        }
        let count = Double(side * side)
        guard Double(covered) >= leastOfPage * count else { return nil }
        return groups.filter { Double($0.points) >= leastOfGroup * count }.map(\.dpi).max()
    }

    /// The points of the grid that lie under a picture.
    private static func points(under picture: PDFPicture, _ page: (width: Double, height: Double)) -> [Int] {
        let m = picture.matrix
        let determinant = m.a * m.d - m.b * m.c
        guard abs(determinant) > 1e-9 else { return [] }
        func range(_ first: Double, _ second: Double, _ start: Double, _ size: Double) -> Range<Int> {
            let least = start + min(0, first) + min(0, second)
            let most = start + max(0, first) + max(0, second)
            func place(_ at: Double) -> Int { Int((min(max(at / size, 0), 1) * Double(side)).rounded()) }
            return place(least)..<place(most)
        }
        var points: [Int] = []
        let columns = range(m.a, m.c, m.x, page.width)
        for row in range(m.b, m.d, m.y, page.height) {
            let y = (Double(row) + 0.5) / Double(side) * page.height - m.y
            for column in columns {
                let x = (Double(column) + 0.5) / Double(side) * page.width - m.x
                let u = (m.d * x - m.c * y) / determinant
                let v = (m.a * y - m.b * x) / determinant
                if u >= 0, u <= 1, v >= 0, v <= 1 { points.append(row * side + column) }
            }
        }
        return points
    }
}

extension PDFPicture {
    /// Dots an inch along the finer side.
    func resolution(userUnit: Double) -> Double {
        guard across > 0, down > 0 else { return 0 }
        return max(Double(width) / across, Double(height) / down) * 72 / userUnit
    }

    /// The picture's own size as it lies on the page, where it fills that exactly, at one resolution both ways.
    func size(filling page: (width: Double, height: Double)) -> (width: Int, height: Int)? {
        let (along, beside) = isUpright ? (page.width, page.height) : (page.height, page.width)
        let dpi = (Double(width) / across, Double(height) / down)
        guard abs(across - along) < 0.5, abs(down - beside) < 0.5, max(dpi.0, dpi.1) < 1.02 * min(dpi.0, dpi.1),
            // Neither askew nor mirrored corners off the page.
            min(abs(matrix.a), abs(matrix.b)) < 0.5, min(abs(matrix.c), abs(matrix.d)) < 0.5
        else { return nil }
        return isUpright ? (width, height) : (height, width)
    }
}
