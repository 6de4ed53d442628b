import Digest
import Inference

/// Pages to views: `preprocess.json`, `resize.safetensors`, `grid.json`, `token_counts.json`.
struct PreprocessParity {
    let folder: GoldenFolder
    let images: GoldenImages

    // MARK: preprocess.json

    private struct Page: Decodable {
        struct Views: Decodable {
            let view: String
            let viewShape: [Int]
            let viewSamples: [UInt8]
            let grid: [Int]
            let floatSum: Double
            let tiles: String?
            let tilesShape: [Int]?
            let tilesSamples: [UInt8]?

            enum CodingKeys: String, CodingKey {
                case grid
                case view = "view_sha256"
                case viewShape = "view_shape"
                case viewSamples = "view_samples"
                case floatSum = "float_sum"
                case tiles = "tiles_sha256"
                case tilesShape = "tiles_shape"
                case tilesSamples = "tiles_samples"
            }
        }

        let width: Int
        let height: Int
        let rgb: String
        let modes: [String: Views]
        /// `gundam_max6` and its like.
        let limited: [String: Views]

        private struct Key: CodingKey {
            let stringValue: String
            var intValue: Int? { nil }
            init(_ name: String) { stringValue = name }
            init?(stringValue: String) { self.init(stringValue) }
            init?(intValue: Int) { nil }
        }

        init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: Key.self)
            width = try values.decode(Int.self, forKey: Key("width"))
            height = try values.decode(Int.self, forKey: Key("height"))
            rgb = try values.decode(String.self, forKey: Key("rgb_sha256"))
            modes = try values.decode([String: Views].self, forKey: Key("modes"))
            let limits = values.allKeys.filter { $0.stringValue.contains("_max") }
            limited = try .init(
                uniqueKeysWithValues: limits.map { ($0.stringValue, try values.decode(Views.self, forKey: $0)) })
        }
    }

    /// One line for each image: decoded bytes, then the views of every mode.
    func pages() throws(ParityError) -> [ParityLine] {
        let pages: [String: Page] = try folder.json("preprocess.json")
        return pages.sorted { $0.key < $1.key }.map { name, page in
            let title = "preprocess \(name)"
            let image: RGBImage
            do throws(ParityError) {
                image = try images.image(name)
            } catch {
                return ParityLine(.failed, title, "\(error)")
            }
            var comparison = Comparison()
            comparison.expect(
                image.width == page.width && image.height == page.height,
                "decoded to \(image.width) x \(image.height), expected \(page.width) x \(page.height)")
            comparison.expect(SHA256.hash(image.bytes).hex == page.rgb, "the decoded bytes differ")
            for (mode, views) in page.modes.merging(page.limited, uniquingKeysWith: { $1 }).sorted(by: {
                $0.key < $1.key
            }) {
                compare(image, mode: mode, with: views, in: &comparison)
            }
            return comparison.line(
                title, "decoded bytes, views, tiles and grids of \(page.modes.count + page.limited.count) modes equal")
        }
    }

    private func compare(_ image: RGBImage, mode: String, with views: Page.Views, in comparison: inout Comparison) {
        let parts = mode.split(separator: "_max")
        guard var geometry = ResolutionMode(rawValue: String(parts[0]))?.geometry else {
            return comparison.expect(false, "\(mode) is no known mode")
        }
        if parts.count > 1 { geometry.maxTiles = Int(parts[1]) ?? geometry.maxTiles }
        let prepared = Preprocessor.prepare(image, geometry: geometry)
        let side = prepared.view.side
        comparison.expect(
            [3, side, side] == views.viewShape, "\(mode): the view has side \(side), expected \(views.viewShape)")
        comparison.expect(SHA256.hash(prepared.view.bytes).hex == views.view, "\(mode): the view's bytes differ")
        comparison.expect(
            samples(of: prepared.view, steps: (97, 89)) == views.viewSamples, "\(mode): the view's samples differ")
        comparison.expect(
            [prepared.grid.columns, prepared.grid.rows] == views.grid,
            "\(mode): the grid is \(prepared.grid.columns) x \(prepared.grid.rows), expected \(views.grid)")
        let sum = prepared.view.bytes.reduce(0) { $0 + Double(Preprocessor.levels[Int($1)]) }
        comparison.expect(
            abs(sum - views.floatSum) <= 1e-9 * Double(prepared.view.bytes.count),
            "\(mode): the levels sum to \(sum), expected \(views.floatSum)")
        comparison.expect(prepared.tiles.isEmpty == (views.tiles == nil), "\(mode): \(prepared.tiles.count) tiles")
        guard let tiles = views.tiles, let shape = views.tilesShape else { return }
        var hash = SHA256()
        for tile in prepared.tiles { hash.update(tile.bytes) }
        comparison.expect(hash.finalize().hex == tiles, "\(mode): the tiles' bytes differ")
        comparison.expect(
            shape.first == prepared.tiles.count, "\(mode): \(prepared.tiles.count) tiles, expected \(shape)")
        comparison.expect(
            prepared.tiles.flatMap { samples(of: $0, steps: (199, 211)) } == views.tilesSamples,
            "\(mode): the tiles' samples differ")
    }

    private func samples(of view: PreparedImage.View, steps: (Int, Int)) -> [UInt8] {
        var samples: [UInt8] = []
        for y in stride(from: 0, to: view.side, by: steps.0) {
            for x in stride(from: 0, to: view.side, by: steps.1) {
                let start = (y * view.side + x) * 3
                samples.append(contentsOf: view.bytes[start..<(start + 3)])
            }
        }
        return samples
    }

    // MARK: resize.safetensors

    /// Whole small images resized and padded, and what the model sees for each byte value.
    func resizes() throws(ParityError) -> [ParityLine] {
        let file = try TensorFile(folder, "resize.safetensors")
        var comparison = Comparison()
        for name in file.names where name.hasSuffix(".in") {
            let stem = String(name.dropLast(3))
            guard let input = file.tensors[name], let output = file.tensors[stem + ".out"], input.shape.count == 3,
                output.shape.count == 3, let pixels = input.bytes, let expected = output.bytes
            else { throw ParityError("resize.safetensors: \(stem) has no images in and out") }
            let image = RGBImage(width: input.shape[1], height: input.shape[0], bytes: pixels)
            let result =
                stem.hasPrefix("pad")
                ? Preprocessor.padded(image, side: output.shape[0])
                : Preprocessor.stretched(image, width: output.shape[1], height: output.shape[0])
            let differing = zip(result, expected).count { $0 != $1 } + abs(result.count - expected.count)
            comparison.expect(differing == 0, "\(stem): \(differing) of \(expected.count) bytes differ")
        }
        let images = comparison.compared
        if let levels = file.tensors["levels"]?.floats {
            comparison.expect(levels == Preprocessor.levels, "the float32 of a byte value differs")
        }
        return [comparison.line("resize", "\(images) images byte for byte, and the float32 of each byte value")]
    }

    // MARK: grid.json, token_counts.json

    /// The choice of tiles for many page sizes.
    func grids() throws(ParityError) -> [ParityLine] {
        let rows: [[String: GridValue]] = try folder.json("grid.json")
        var comparison = Comparison()
        for row in rows {
            guard let width = row["width"]?.number, let height = row["height"]?.number else {
                throw ParityError("grid.json has a line without a size")
            }
            for (key, value) in row {
                guard let expected = value.pair, let limit = key.split(separator: "_").last.flatMap({ Int($0) }) else {
                    continue
                }
                let mode: ResolutionMode = key.hasPrefix("gundam_m_") ? .gundamM : .gundam
                let grid = Preprocessor.grid(width: width, height: height, tile: mode.geometry.tile, maxTiles: limit)
                comparison.expect(
                    [grid.columns, grid.rows] == expected,
                    "\(key) of \(width) x \(height): \(grid.columns) x \(grid.rows), expected \(expected)")
            }
        }
        return [comparison.line("grid", "\(comparison.compared) choices of tiles equal")]
    }

    private enum GridValue: Decodable {
        case number(Int)
        case pair([Int])

        var number: Int? { if case .number(let number) = self { number } else { nil } }
        var pair: [Int]? { if case .pair(let pair) = self { pair } else { nil } }

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            if let number = try? value.decode(Int.self) {
                self = .number(number)
            } else {
                self = .pair(try value.decode([Int].self))
            }
        }
    }

    private struct TokenCount: Decodable {
        let base: Int
        let tile: Int
        let grid: [Int]
        let tokens: Int
    }

    /// The image tokens of every mode and grid.
    func tokenCounts() throws(ParityError) -> [ParityLine] {
        let rows: [TokenCount] = try folder.json("token_counts.json")
        var comparison = Comparison()
        for row in rows {
            guard row.grid.count == 2 else { throw ParityError("token_counts.json has the grid \(row.grid)") }
            let grid = TileGrid(columns: row.grid[0], rows: row.grid[1])
            let tokens = TileGrid.tokenCount(base: row.base, tile: row.tile, grid: grid)
            comparison.expect(
                tokens == row.tokens,
                "base \(row.base), tile \(row.tile), grid \(row.grid): \(tokens), expected \(row.tokens)")
        }
        return [comparison.line("token counts", "\(comparison.compared) counts equal")]
    }
}
