/// Page pixels to the views that the model takes, byte for byte as the model was trained (MODEL.md section 3).
package enum Preprocessor {
    /// Pages within this many pixels in both directions get no tiles, whatever the tile's size.
    package static let noTilesUpTo = 640
    /// Modes without tiles stretch a page to views up to this side, and pad it to larger ones.
    package static let stretchedUpTo = 640
    /// The grey level of padding: `int(0.5 * 255)`.
    package static let paddingLevel: UInt8 = 127

    /// What the model sees for each byte value: `(u / 255 - 0.5) / 0.5` in float32.
    package static let levels: [Float] = (0...255).map { (Float($0) / 255 - 0.5) / 0.5 }

    /// The views of a page: the whole page, and tiles where the geometry makes some.
    package static func prepare(_ image: RGBImage, geometry: ViewGeometry) -> PreparedImage {
        let base = geometry.base
        guard geometry.crops || base > stretchedUpTo else {
            return PreparedImage(
                view: .init(side: base, bytes: ImageResampler.resize(image, width: base, height: base)))
        }
        let view = PreparedImage.View(side: base, bytes: padded(image, side: base))
        guard geometry.crops, max(image.width, image.height) > noTilesUpTo else { return PreparedImage(view: view) }
        let grid = grid(width: image.width, height: image.height, tile: geometry.tile, maxTiles: geometry.maxTiles)
        guard grid.columns * grid.rows > 1 else { return PreparedImage(view: view) }
        return PreparedImage(view: view, tiles: tiles(of: image, side: geometry.tile, grid: grid), grid: grid)
    }

    /// The grid of 2 to `maxTiles` tiles whose aspect ratio is nearest to the page's.
    ///
    /// Candidates come in order of area. On an exactly equal difference the later one wins if the page has more than
    /// half of that grid's pixels. Below 2 tiles there is no candidate and the grid is 1 x 1.
    package static func grid(width: Int, height: Int, tile: Int, maxTiles: Int = 9) -> TileGrid {
        var best = TileGrid(columns: 1, rows: 1)
        var bestGap = Double.infinity
        let ratio = Double(width) / Double(height)
        let pixels = Double(width) * Double(height)
        for area in 2...max(maxTiles, 2) where area <= maxTiles {
            for columns in 1...area where area.isMultiple(of: columns) {
                let rows = area / columns
                let gap = abs(ratio - Double(columns) / Double(rows))
                let isLarge = pixels > 0.5 * Double(tile) * Double(tile) * Double(columns) * Double(rows)
                if gap < bestGap || (gap == bestGap && isLarge) {
                    best = TileGrid(columns: columns, rows: rows)
                    bestGap = gap
                }
            }
        }
        return best
    }

    /// The page fitted into a square and centred on grey; a side that rounds to nothing leaves the square grey.
    package static func padded(_ image: RGBImage, side: Int) -> [UInt8] {
        let (w, h) = (Double(image.width), Double(image.height))
        let width = w > h ? side : rounded(w / h * Double(side))
        let height = w > h ? rounded(h / w * Double(side)) : side
        var canvas = [UInt8](repeating: paddingLevel, count: side * side * 3)
        guard width > 0, height > 0 else { return canvas }
        let page = ImageResampler.resize(image, width: width, height: height)
        let left = rounded(Double(side - width) * 0.5)
        let top = rounded(Double(side - height) * 0.5)
        for y in 0..<height {
            let start = ((top + y) * side + left) * 3
            canvas.replaceSubrange(start..<(start + width * 3), with: page[(y * width * 3)..<((y + 1) * width * 3)])
        }
        return canvas
    }

    /// The page at exactly `width` x `height`, its aspect ratio not kept; `height * width * 3` bytes.
    package static func stretched(_ image: RGBImage, width: Int, height: Int) -> [UInt8] {
        ImageResampler.resize(image, width: width, height: height)
    }

    private static func tiles(of image: RGBImage, side: Int, grid: TileGrid) -> [PreparedImage.View] {
        let width = grid.columns * side
        let sheet = ImageResampler.resize(image, width: width, height: grid.rows * side)
        return (0..<(grid.rows * grid.columns)).map { index in
            let (row, column) = index.quotientAndRemainder(dividingBy: grid.columns)
            var bytes: [UInt8] = []
            bytes.reserveCapacity(side * side * 3)
            for y in 0..<side {
                let start = ((row * side + y) * width + column * side) * 3
                bytes.append(contentsOf: sheet[start..<(start + side * 3)])
            }
            return PreparedImage.View(side: side, bytes: bytes)
        }
    }

    /// Ties to even, as Python's `round`.
    private static func rounded(_ value: Double) -> Int { Int(value.rounded(.toNearestOrEven)) }
}
