private import COpenBLAS
private import Glibc

extension CPUBackend {
    /// Up to so many rows go through the kernels that read weights as they are; more are worth widening weights for.
    private static let fewRows = 8
    /// Rows of a weight that are widened at a time: 0.6 MB at 1280 columns.
    private static let tile = 128
    /// Below so many multiplications starting threads costs more than it saves.
    private static let smallWork = 1 << 17

    package func linear(_ x: CPUTensor, _ weight: CPUWeight, bias: CPUTensor?) -> CPUTensor {
        precondition(x.columns == weight.inputs, "x has a column for each input")
        let (rows, outputs) = (x.rows, weight.outputs)
        return CPUTensor(rows: rows, columns: outputs) { y in
            x.read { x in
                divide(rows: rows, weight) { part, range, scratch in
                    fill(y, rows: part, stride: outputs, columns: range, with: bias)
                    accumulate(
                        x, rows: part, xStride: weight.inputs, weight, range, into: y, yStride: outputs, scratch)
                }
            }
        }
    }

    package func addLinear(_ x: CPUTensor, _ weight: CPUWeight, bias: CPUTensor?, to sum: inout CPUTensor) {
        precondition(x.columns == weight.inputs && sum.columns == weight.outputs, "x and the sum fit the weight")
        precondition(x.rows == sum.rows, "x and the sum have equally many rows")
        let (rows, outputs) = (x.rows, weight.outputs)
        if let bias { add(bias, to: &sum) }
        sum.write { y in
            x.read { x in
                divide(rows: rows, weight) { part, range, scratch in
                    accumulate(
                        x, rows: part, xStride: weight.inputs, weight, range, into: y, yStride: outputs, scratch)
                }
            }
        }
    }

    /// Cuts a product of `rows` rows into tasks: by rows where there are many, else by outputs.
    private func divide(
        rows: Int, _ weight: CPUWeight,
        _ body: (_ rows: Range<Int>, _ outputs: Range<Int>, _ scratch: UnsafeMutablePointer<Float>) -> Void
    ) {
        let scratch = scratchCount(rows: rows, weight)
        if rows >= 128 * pool.threads {
            let size = max(128, (rows + pool.threads - 1) / pool.threads)
            pool.run((rows + size - 1) / size, scratch: scratch) { task, scratch in
                body(task * size..<min(rows, (task + 1) * size), 0..<weight.outputs, scratch)
            }
        } else {
            let least = rows * weight.inputs * weight.outputs < Self.smallWork ? weight.outputs : 16
            pool.split(weight.outputs, least: least, scratch: scratch) { outputs, scratch in
                body(0..<rows, outputs, scratch)
            }
        }
    }

    /// How many floats `accumulate` needs.
    func scratchCount(rows: Int, _ weight: CPUWeight) -> Int {
        rows <= Self.fewRows || weight.elementType == .float32 ? 0 : Self.tile * weight.inputs
    }

    /// `y[r, o] += weight[o] . x[r]` for some rows and some outputs, on this thread.
    func accumulate(
        _ x: UnsafePointer<Float>, rows: Range<Int>, xStride: Int, _ weight: CPUWeight, _ outputs: Range<Int>,
        into y: UnsafeMutablePointer<Float>, yStride: Int, _ scratch: UnsafeMutablePointer<Float>
    ) {
        let inputs = weight.inputs
        let type = weight.elementType
        let x = x + rows.lowerBound * xStride
        let y = y + rows.lowerBound * yStride
        weight.withElements { elements in
            if rows.count <= Self.fewRows {
                kernels.gemv(
                    elements, type: type, outputs: outputs, inputs: inputs, x: x, rows: rows.count, xStride: xStride,
                    y: y, yStride: yStride)
                return
            }
            let tile = type == .float32 ? outputs.count : Self.tile
            for first in stride(from: outputs.lowerBound, to: outputs.upperBound, by: tile) {
                let count = min(tile, outputs.upperBound - first)
                var wide = elements.assumingMemoryBound(to: Float.self) + first * inputs
                if type != .float32 {
                    kernels.widen(elements, type: type, from: first * inputs, to: scratch, count: count * inputs)
                    wide = UnsafePointer(scratch)
                }
                cblas_sgemm(
                    CblasRowMajor, CblasNoTrans, CblasTrans, blasint(rows.count), blasint(count), blasint(inputs), 1, x,
                    blasint(xStride), wide, blasint(inputs), 1, y + first, blasint(yStride))
            }
        }
    }

    private func fill(
        _ y: UnsafeMutablePointer<Float>, rows: Range<Int>, stride: Int, columns: Range<Int>, with bias: CPUTensor?
    ) {
        for row in rows {
            let line = y + row * stride + columns.lowerBound
            if let bias {
                bias.read { line.update(from: $0 + columns.lowerBound, count: columns.count) }
            } else {
                line.update(repeating: 0, count: columns.count)
            }
        }
    }

    package func convolve3x3(_ x: CPUTensor, _ weight: CPUWeight, batches: Int, side: Int, stride: Int) -> CPUTensor {
        precondition(x.rows == batches * side * side && weight.inputs == 9 * x.columns, "x fits the convolution")
        let target = (side - 1) / stride + 1
        let (channels, inputs, outputs) = (x.columns, weight.inputs, weight.outputs)
        // A few lines of the result at a time: their 3 x 3 neighbourhoods are laid out as rows and multiplied.
        let lines = max(1, min(target, 512 / target))
        let chunks = (target + lines - 1) / lines
        let size = lines * target * inputs
        return CPUTensor(rows: batches * target * target, columns: outputs) { y in
            x.read { x in
                let scratch = size + scratchCount(rows: lines * target, weight)
                pool.run(batches * chunks, scratch: scratch) { task, scratch in
                    let (batch, chunk) = (task / chunks, task % chunks)
                    let own = chunk * lines..<min(target, (chunk + 1) * lines)
                    let image = x + batch * side * side * channels
                    for (place, line) in own.enumerated() {
                        for column in 0..<target {
                            neighbourhood(
                                image, side: side, channels: channels, y: line * stride, x: column * stride,
                                to: scratch + (place * target + column) * inputs)
                        }
                    }
                    let rows = own.count * target
                    let result = y + (batch * target + own.lowerBound) * target * outputs
                    fill(result, rows: 0..<rows, stride: outputs, columns: 0..<outputs, with: nil)
                    accumulate(
                        scratch, rows: 0..<rows, xStride: inputs, weight, 0..<outputs, into: result, yStride: outputs,
                        scratch + size)
                }
            }
        }
    }

    /// The 3 x 3 neighbourhood of a position as (channel, dy, dx), the order of a convolution's weights.
    private func neighbourhood(
        _ image: UnsafePointer<Float>, side: Int, channels: Int, y: Int, x: Int, to: UnsafeMutablePointer<Float>
    ) {
        for tap in 0..<9 {
            let (line, column) = (y + tap / 3 - 1, x + tap % 3 - 1)
            guard line >= 0, line < side, column >= 0, column < side else {
                for channel in 0..<channels { to[channel * 9 + tap] = 0 }
                continue
            }
            let from = image + (line * side + column) * channels
            for channel in 0..<channels { to[channel * 9 + tap] = from[channel] }
        }
    }
}
