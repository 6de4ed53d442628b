import Inference

/// Patches, and rows brought together.
extension KernelCase {
    static var assemblies: [KernelCase] { [patches, image, embedding, joining] }

    private static var patches: KernelCase {
        KernelCase("cut_patches", limit: rounding) { (bench) throws(InferenceError) in
            let (views, side, patch) = (2, 48, 16)
            let grid = side / patch
            let pixels = (0..<views * side * side * 3).map { _ in UInt8(bench.integer(below: 256)) }
            let x = try DeviceMemory(bench.device, pixels)
            let count = views * grid * grid * 3 * patch * patch
            let y = try bench.results(bytes: count * 2)
            try bench.launch(
                "cut_patches", grid: (views * grid * grid, 1, 1), threads: 256,
                [x.argument, y.argument, .int(side), .int(patch)])
            var wanted: [Double] = []
            for number in 0..<views * grid * grid {
                let (view, row, column) = (number / (grid * grid), number / grid % grid, number % grid)
                for channel in 0..<3 {
                    for dy in 0..<patch {
                        for dx in 0..<patch {
                            let place = (view * side + row * patch + dy) * side + column * patch + dx
                            wanted.append((Double(pixels[place * 3 + channel]) / 255 - 0.5) / 0.5)
                        }
                    }
                }
            }
            return KernelBench.error(try bench.readNarrow(y, count), wanted)
        }
    }

    /// An image's rows with newlines and separator, in the order of `ImageLayout`.
    private static var image: KernelCase {
        KernelCase("gather_rows of an image with tiles", limit: exact) { (bench) throws(InferenceError) in
            let (columns, page, tile) = (24, 3, 2)
            let rows = ImageLayout.rows(page: page, tile: tile, grid: TileGrid(columns: 2, rows: 1))
            let parts = [1, 1, page * page, 2 * tile * tile].map { bench.numbers($0 * columns) }
            var sources: [DeviceMemory] = []
            for part in parts { sources.append(try bench.narrow(part)) }
            let addresses = zip(sources, parts).flatMap { source, part in
                (0..<part.count / columns).map { source.address + UInt64($0 * columns * 2) }
            }
            let list = try DeviceMemory(bench.device, rows.map { addresses[Int($0)] })
            let y = try bench.results(bytes: rows.count * columns * 2)
            try bench.launch(
                "gather_rows", grid: (rows.count, 1, 1), threads: 32,
                [list.argument, y.argument, .int(columns / 8)])
            let stacked = parts.flatMap { $0 }
            let wanted = rows.flatMap { row in (0..<columns).map { Double(stacked[Int(row) * columns + $0]) } }
            let found = try bench.readNarrow(y, rows.count * columns)
            withExtendedLifetime(sources) {}
            return KernelBench.error(found, wanted)
        }
    }

    private static var embedding: KernelCase {
        KernelCase("embed_tokens", limit: exact) { (bench) throws(InferenceError) in
            let (columns, ids) = (40, [0, 6, 3, 3])
            let values = bench.numbers(7 * columns)
            let (table, list) = (try bench.narrow(values), try bench.integers(ids))
            let y = try bench.results(bytes: ids.count * columns * 2)
            try bench.launch(
                "embed_tokens", grid: (ids.count, 1, 1), threads: 32,
                [list.argument, table.argument, y.argument, .int(columns)])
            let wanted = ids.flatMap { id in (0..<columns).map { Double(values[id * columns + $0]) } }
            return KernelBench.error(try bench.readNarrow(y, wanted.count), wanted)
        }
    }

    private static var joining: KernelCase {
        KernelCase("join_columns", limit: exact) { (bench) throws(InferenceError) in
            let (left, right) = (bench.numbers(3 * 16), bench.numbers(3 * 40))
            let (a, b) = (try bench.narrow(left), try bench.narrow(right))
            let y = try bench.results(bytes: 3 * 56 * 2)
            try bench.launch(
                "join_columns", grid: (3, 1, 1), threads: 32,
                [a.argument, b.argument, y.argument, .int(2), .int(5)])
            var wanted: [Double] = []
            for row in 0..<3 {
                wanted += left[row * 16..<(row + 1) * 16].map { Double($0) }
                wanted += right[row * 40..<(row + 1) * 40].map { Double($0) }
            }
            return KernelBench.error(try bench.readNarrow(y, wanted.count), wanted)
        }
    }
}
