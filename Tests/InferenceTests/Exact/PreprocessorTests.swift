import Inference
import Testing

@Suite struct PreprocessorTests {
    @Test(arguments: [
        (7, 5, 64, 64), (64, 64, 7, 5), (1, 90, 12, 12), (100, 1, 7, 7), (33, 20, 33, 200), (20, 33, 200, 33),
        (3, 5000, 64, 48),
        (5000, 3, 48, 64), (1, 1, 9, 9), (129, 257, 128, 256),
    ])
    func `a resize equals its definition`(width: Int, height: Int, newWidth: Int, newHeight: Int) {
        var random = FixedRandom(seed: UInt64(width * height + newWidth))
        let image = random.image(width: width, height: height)
        let result = Preprocessor.stretched(image, width: newWidth, height: newHeight)
        #expect(result == Self.plainResize(image, width: newWidth, height: newHeight))
    }

    @Test func `a page of the right size is not touched`() {
        var random = FixedRandom(seed: 1)
        let image = random.image(width: 31, height: 17)
        #expect(Preprocessor.stretched(image, width: 31, height: 17) == image.bytes)
    }

    @Test(arguments: [UInt8(0), 1, 127, 254, 255])
    func `a flat page stays flat`(level: UInt8) {
        let image = RGBImage(width: 300, height: 90, bytes: [UInt8](repeating: level, count: 300 * 90 * 3))
        #expect(Preprocessor.stretched(image, width: 64, height: 640).allSatisfy { $0 == level })
    }

    @Test(arguments: [(1, 4000), (4000, 1)])
    func `a side that rounds to nothing leaves the square grey`(width: Int, height: Int) {
        let image = RGBImage(width: width, height: height, bytes: [UInt8](repeating: 9, count: width * height * 3))
        #expect(Preprocessor.padded(image, side: 1024).allSatisfy { $0 == 127 })
    }

    @Test func `padding centres the page and rounds ties to even`() {
        let image = RGBImage(width: 64, height: 61, bytes: [UInt8](repeating: 9, count: 64 * 61 * 3))
        let square = Preprocessor.padded(image, side: 64)
        let greyRows = (0..<64).filter { square[$0 * 64 * 3] == 127 }
        // 1.5 rows above round to 2, so one is left below.
        #expect(greyRows == [0, 1, 63])
    }

    @Test func `small modes stretch and large ones pad`() {
        let image = RGBImage(width: 30, height: 300, bytes: [UInt8](repeating: 0, count: 30 * 300 * 3))
        let stretched = Preprocessor.prepare(image, geometry: ResolutionMode.small.geometry)
        let padded = Preprocessor.prepare(image, geometry: ResolutionMode.base.geometry)
        #expect(stretched.view.bytes.allSatisfy { $0 == 0 })
        #expect(padded.view.bytes.contains(127))
        #expect(stretched.tiles.isEmpty && padded.tiles.isEmpty)
    }

    @Test(arguments: [(640, 640, 0), (641, 300, 2), (300, 641, 2), (641, 641, 4)])
    func `only pages beyond 640 pixels get tiles`(width: Int, height: Int, tiles: Int) {
        let image = RGBImage(width: width, height: height, bytes: [UInt8](repeating: 200, count: width * height * 3))
        let gundam = Preprocessor.prepare(image, geometry: ResolutionMode.gundam.geometry)
        #expect(gundam.tiles.count == tiles)
        #expect(gundam.tokenCount == TileGrid.tokenCount(base: 1024, tile: 640, grid: gundam.grid))
    }

    @Test(arguments: [-3, 0, 1])
    func `fewer than two tiles allowed means none`(limit: Int) {
        let image = RGBImage(width: 700, height: 10, bytes: [UInt8](repeating: 200, count: 21000))
        let geometry = ViewGeometry(base: 64, tile: 64, crops: true, maxTiles: limit)
        let prepared = Preprocessor.prepare(image, geometry: geometry)
        #expect(prepared.tiles.isEmpty)
        #expect(prepared.grid == TileGrid(columns: 1, rows: 1))
    }

    @Test func `tiles are the stretched page cut row by row`() {
        var random = FixedRandom(seed: 4)
        let image = random.image(width: 700, height: 460)
        let prepared = Preprocessor.prepare(image, geometry: ViewGeometry(base: 64, tile: 64, crops: true))
        #expect(prepared.grid == TileGrid(columns: 3, rows: 2))
        let sheet = Preprocessor.stretched(image, width: 192, height: 128)
        var lastTile: [UInt8] = []
        for y in 64..<128 {
            let start = (y * 192 + 128) * 3
            lastTile.append(contentsOf: sheet[start..<(start + 64 * 3)])
        }
        #expect(prepared.tiles.last?.bytes == lastTile)
    }

    @Test(arguments: [(64, 64), (64, 80), (64, 20), (3, 1280), (3508, 1024)])
    func `the filter's weights sum to one and stay on the axis`(source: Int, target: Int) {
        let taps = CubicTaps(source: source, target: target)
        for index in 0..<target {
            let range = taps.range(at: index)
            let weights = taps.weights(at: index)
            #expect(range.lowerBound >= 0 && range.upperBound <= source && weights.count == range.count)
            #expect(abs(weights.reduce(0, +) - 1) < 1e-12)
        }
    }

    /// The definition, written for reading: one pass at a time, whole numbers of 64 bits.
    static func plainResize(_ image: RGBImage, width: Int, height: Int) -> [UInt8] {
        func fixed(_ taps: CubicTaps, _ index: Int) -> [(position: Int, weight: Int)] {
            zip(taps.range(at: index), taps.weights(at: index)).map { position, weight in
                (position, Int(weight * 4_194_304 + (weight < 0 ? -0.5 : 0.5)))
            }
        }
        func clamped(_ sum: Int) -> UInt8 { UInt8(min(max((2_097_152 + sum) >> 22, 0), 255)) }
        var rows = image.bytes
        if width != image.width {
            let across = CubicTaps(source: image.width, target: width)
            let taps = (0..<width).map { fixed(across, $0) }
            rows = (0..<(image.height * width * 3)).map { index in
                let (y, x, channel) = (index / (width * 3), index / 3 % width, index % 3)
                return clamped(
                    taps[x].reduce(0) {
                        $0 + $1.weight * Int(image.bytes[(y * image.width + $1.position) * 3 + channel])
                    })
            }
        }
        guard height != image.height else { return rows }
        let down = CubicTaps(source: image.height, target: height)
        let taps = (0..<height).map { fixed(down, $0) }
        let row = width * 3
        return (0..<(height * row)).map { index in
            clamped(taps[index / row].reduce(0) { $0 + $1.weight * Int(rows[$1.position * row + index % row]) })
        }
    }
}
