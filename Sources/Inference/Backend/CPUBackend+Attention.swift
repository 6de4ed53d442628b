private import COpenBLAS
private import Glibc

/// Where the queries, keys and values of one head lie; strides are floats between two tokens.
private struct HeadView {
    let query: UnsafePointer<Float>
    let queryStride: Int
    let key: UnsafePointer<Float>
    let value: UnsafePointer<Float>
    let keyStride: Int
    let width: Int
    let out: UnsafeMutablePointer<Float>
    let outStride: Int
}

/// SAM's two tables of relative positions, last row first, so that a query's biases lie in the order of its keys.
private struct RelativeTables {
    let height: UnsafePointer<Float>
    let width: UnsafePointer<Float>
    let side: Int

    /// Rows of each table.
    var rows: Int { 2 * side - 1 }
}

extension CPUBackend {
    /// Queries that are attended from at a time; bounds the scores to `block * keys` floats a thread.
    ///
    /// OpenBLAS packs all keys and values again for each block: 4096 keys go a quarter slower by 128, a tenth faster by
    /// 512, whose scores no longer fit the cache of a small machine.
    private static let block = 256

    package func attention(_ qkv: CPUTensor, batches: Int, heads: Int) -> CPUTensor {
        let tokens = qkv.rows / batches
        let channels = qkv.columns / 3
        let width = channels / heads
        precondition(tokens * batches == qkv.rows && width * heads * 3 == qkv.columns, "qkv divides into heads")
        let blocks = (tokens + Self.block - 1) / Self.block
        return CPUTensor(rows: qkv.rows, columns: channels) { out in
            qkv.read { qkv in
                pool.run(batches * heads * blocks, scratch: Self.block * tokens) { task, scratch in
                    let (head, part) = (task / blocks % heads, task % blocks)
                    let first = task / blocks / heads * tokens
                    let view = HeadView(
                        packed: qkv, first: first, channels: channels, head: head, width: width, out: out)
                    let queries = part * Self.block..<min(tokens, (part + 1) * Self.block)
                    attend(view, queries: queries, keys: tokens, scratch: scratch) { row, _ in
                        kernels.softmax(row, tokens, scale: view.scale)
                    }
                }
            }
        }
    }

    package func gridAttention(_ qkv: CPUTensor, _ grid: GridAttention<CPUTensor>) -> CPUTensor {
        let channels = qkv.columns / 3
        let width = channels / grid.heads
        let side = grid.window ?? grid.side
        precondition(qkv.rows == grid.batches * grid.side * grid.side, "qkv has a row for each position")
        precondition(width * grid.heads * 3 == qkv.columns, "qkv divides into heads")
        precondition(grid.relativeHeight.rows == 2 * side - 1 && grid.relativeHeight.columns == width, "tables fit")
        precondition(grid.relativeWidth.rows == 2 * side - 1 && grid.relativeWidth.columns == width, "tables fit")
        let height = reversed(grid.relativeHeight)
        let across = reversed(grid.relativeWidth)
        return CPUTensor(rows: qkv.rows, columns: channels) { out in
            qkv.read { qkv in
                height.read { height in
                    across.read { across in
                        let tables = RelativeTables(height: height, width: across, side: side)
                        if grid.window == nil {
                            globalAttention(qkv, grid, tables, channels: channels, out: out)
                        } else {
                            windowAttention(qkv, grid, tables, channels: channels, out: out)
                        }
                    }
                }
            }
        }
    }

    private func globalAttention(
        _ qkv: UnsafePointer<Float>, _ grid: GridAttention<CPUTensor>, _ tables: RelativeTables, channels: Int,
        out: UnsafeMutablePointer<Float>
    ) {
        let tokens = grid.side * grid.side
        let blocks = (tokens + Self.block - 1) / Self.block
        let scratch = Self.block * (tokens + 2 * tables.rows)
        pool.run(grid.batches * grid.heads * blocks, scratch: scratch) { task, scratch in
            let (head, part) = (task / blocks % grid.heads, task % blocks)
            let view = HeadView(
                packed: qkv, first: task / blocks / grid.heads * tokens, channels: channels, head: head,
                width: channels / grid.heads, out: out)
            let queries = part * Self.block..<min(tokens, (part + 1) * Self.block)
            attendInGrid(view, tables, queries: queries, scratch: scratch)
        }
    }

    /// A task is one window of one head: its rows are gathered, padding included, and the result is scattered.
    private func windowAttention(
        _ qkv: UnsafePointer<Float>, _ grid: GridAttention<CPUTensor>, _ tables: RelativeTables, channels: Int,
        out: UnsafeMutablePointer<Float>
    ) {
        let (side, window) = (grid.side, tables.side)
        let width = channels / grid.heads
        let across = (side + window - 1) / window
        let tokens = window * window
        let scratch = 4 * tokens * width + tokens * (tokens + 2 * tables.rows)
        grid.padding.read { padding in
            pool.run(grid.batches * across * across * grid.heads, scratch: scratch) { task, scratch in
                let head = task % grid.heads
                let place = task / grid.heads % (across * across)
                let first = task / grid.heads / (across * across) * side * side
                let (top, left) = (place / across * window, place % across * window)
                for token in 0..<tokens {
                    let (y, x) = (top + token / window, left + token % window)
                    let outside = y >= side || x >= side
                    let from = (outside ? padding : qkv + (first + y * side + x) * 3 * channels) + head * width
                    for part in 0..<3 {
                        let to = scratch + (part * tokens + token) * width
                        to.update(from: from + part * channels, count: width)
                    }
                }
                let result = scratch + 3 * tokens * width
                let view = HeadView(
                    query: scratch, queryStride: width, key: scratch + tokens * width,
                    value: scratch + 2 * tokens * width, keyStride: width, width: width, out: result, outStride: width)
                attendInGrid(view, tables, queries: 0..<tokens, scratch: result + tokens * width)
                for token in 0..<tokens {
                    let (y, x) = (top + token / window, left + token % window)
                    guard y < side, x < side else { continue }
                    let to = out + (first + y * side + x) * channels + head * width
                    to.update(from: result + token * width, count: width)
                }
            }
        }
    }

    /// Attention with the biases `q . height` and `q . width` of the unscaled query, for some queries of a square grid.
    private func attendInGrid(
        _ view: HeadView, _ tables: RelativeTables, queries: Range<Int>, scratch: UnsafeMutablePointer<Float>
    ) {
        let (side, rows) = (tables.side, tables.rows)
        let heightBias = scratch
        let widthBias = scratch + queries.count * rows
        for (table, bias) in [(tables.height, heightBias), (tables.width, widthBias)] {
            cblas_sgemm(
                CblasRowMajor, CblasNoTrans, CblasTrans, blasint(queries.count), blasint(rows), blasint(view.width), 1,
                view.query + queries.lowerBound * view.queryStride, blasint(view.queryStride), table,
                blasint(view.width), 0, bias, blasint(rows))
        }
        let scores = scratch + 2 * queries.count * rows
        attend(view, queries: queries, keys: side * side, scratch: scores) { row, query in
            let place = query - queries.lowerBound
            return kernels.softmaxGrid(
                row, side: side, scale: view.scale, lineBias: heightBias + place * rows + side - 1 - query / side,
                columnBias: widthBias + place * rows + side - 1 - query % side)
        }
    }

    /// Scores of some queries with the first `keys` keys; `exponentiate` turns a query's row into unnormalised weights
    /// and returns their sum; then the weighted values, divided by it.
    private func attend(
        _ view: HeadView, queries: Range<Int>, keys: Int, scratch: UnsafeMutablePointer<Float>,
        exponentiate: (_ row: UnsafeMutablePointer<Float>, _ query: Int) -> Float
    ) {
        let query = view.query + queries.lowerBound * view.queryStride
        let out = view.out + queries.lowerBound * view.outStride
        let width = view.width
        if queries.count == 1 {
            scratch.update(repeating: 0, count: keys)
            kernels.dotRows(view.key, stride: view.keyStride, count: keys, x: query, width: width, y: scratch)
            let sum = exponentiate(scratch, queries.lowerBound)
            cblas_sgemv(
                CblasRowMajor, CblasTrans, blasint(keys), blasint(width), 1 / sum, view.value, blasint(view.keyStride),
                scratch, 1, 0, out, 1)
            return
        }
        cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasTrans, blasint(queries.count), blasint(keys), blasint(width), 1, query,
            blasint(view.queryStride), view.key, blasint(view.keyStride), 0, scratch, blasint(keys))
        withUnsafeTemporaryAllocation(of: Float.self, capacity: queries.count) { sums in
            for row in 0..<queries.count {
                sums[row] = exponentiate(scratch + row * keys, queries.lowerBound + row)
            }
            cblas_sgemm(
                CblasRowMajor, CblasNoTrans, CblasNoTrans, blasint(queries.count), blasint(width), blasint(keys), 1,
                scratch, blasint(keys), view.value, blasint(view.keyStride), 0, out, blasint(view.outStride))
            for row in 0..<queries.count {
                let inverse = 1 / sums[row]
                for column in 0..<width { out[row * view.outStride + column] *= inverse }
            }
        }
    }

    private func reversed(_ table: CPUTensor) -> CPUTensor {
        CPUTensor(rows: table.rows, columns: table.columns) { to in
            table.read { from in
                for row in 0..<table.rows {
                    (to + row * table.columns)
                        .update(from: from + (table.rows - 1 - row) * table.columns, count: table.columns)
                }
            }
        }
    }

    // MARK: - The decoder's attention

    package func rotate(_ x: inout CPUTensor, heads: Int, start: Int, theta: Float) {
        let (rows, columns) = (x.rows, x.columns)
        let half = columns / heads / 2
        precondition(half * 2 * heads == columns, "heads have an even width")
        let frequencies = (0..<half).map { 1 / powf(theta, Float($0) / Float(half)) }
        x.write { base in
            pool.split(rows, least: 16, scratch: 2 * half) { part, scratch in
                for row in part {
                    for i in 0..<half {
                        let angle = Float(start + row) * frequencies[i]
                        scratch[i] = cosf(angle)
                        scratch[half + i] = sinf(angle)
                    }
                    for head in 0..<heads {
                        let a = base + row * columns + head * 2 * half
                        let b = a + half
                        for i in 0..<half {
                            let (real, imaginary) = (a[i], b[i])
                            a[i] = real * scratch[i] - imaginary * scratch[half + i]
                            b[i] = imaginary * scratch[i] + real * scratch[half + i]
                        }
                    }
                }
            }
        }
    }

    package func makeCache(layers: Int, keyValueHeads: Int, headWidth: Int, capacity: Int) -> KeyValueCache {
        KeyValueCache(layers: layers, heads: keyValueHeads, width: headWidth, capacity: capacity)
    }

    package func count(of cache: KeyValueCache, layer: Int) -> Int { cache.counts[layer] }

    package func contents(of cache: KeyValueCache, layer: Int) -> (keys: [Float], values: [Float]) {
        cache.contents(layer: layer)
    }

    package func causalAttention(
        query: CPUTensor, key: CPUTensor, value: CPUTensor, cache: inout KeyValueCache, layer: Int, heads: Int
    ) -> CPUTensor {
        let (rows, columns) = (query.rows, query.columns)
        let width = columns / heads
        precondition(key.rows == rows && key.columns == cache.heads * cache.width, "keys fit the cache")
        precondition(value.rows == rows && value.columns == key.columns, "values fit the cache")
        precondition(width == cache.width && heads % cache.heads == 0, "each key head serves as many query heads")
        let start = cache.counts[layer]
        cache.append(key, value, layer: layer)
        let group = heads / cache.heads
        let blocks = (rows + Self.block - 1) / Self.block
        let parallel = rows * (start + rows) * columns >= 1 << 17
        let pool = parallel ? self.pool : WorkerPool(threads: 1)
        let cache = cache
        return CPUTensor(rows: rows, columns: columns) { out in
            query.read { query in
                pool.run(heads * blocks, scratch: min(Self.block, rows) * (start + rows)) { task, scratch in
                    let (head, part) = (task / blocks, task % blocks)
                    let queries = part * Self.block..<min(rows, (part + 1) * Self.block)
                    let keys = start + queries.upperBound
                    cache.withHead(layer: layer, head: head / group) { key, value in
                        let view = HeadView(
                            query: query + head * width, queryStride: columns, key: key, value: value,
                            keyStride: width, width: width, out: out + head * width, outStride: columns)
                        attend(view, queries: queries, keys: keys, scratch: scratch) { row, query in
                            let seen = start + query + 1
                            if seen < keys { (row + seen).update(repeating: 0, count: keys - seen) }
                            return kernels.softmax(row, seen, scale: view.scale)
                        }
                    }
                }
            }
        }
    }
}

extension HeadView {
    /// A head of rows that hold (q k v, head, element); `first` is the row of token 0.
    init(
        packed qkv: UnsafePointer<Float>, first: Int, channels: Int, head: Int, width: Int,
        out: UnsafeMutablePointer<Float>
    ) {
        let base = qkv + first * 3 * channels + head * width
        self.init(
            query: base, queryStride: 3 * channels, key: base + channels, value: base + 2 * channels,
            keyStride: 3 * channels, width: width, out: out + first * channels + head * width, outStride: channels)
    }

    var scale: Float { 1 / Float(width).squareRoot() }
}
