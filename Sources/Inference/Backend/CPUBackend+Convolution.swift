extension CPUBackend {
    package func convolve3x3(_ x: CPUTensor, _ weight: PackedWeight, batches: Int, side: Int, stride: Int) -> CPUTensor
    {
        precondition(x.rows == batches * side * side && weight.inputs == 9 * x.columns, "x fits the convolution")
        let target = (side - 1) / stride + 1
        let (channels, inputs) = (x.columns, weight.inputs)
        // All 3 x 3 neighbourhoods are laid out as rows: 38 MB for the largest one of a Base page.
        let neighbourhoods = CPUTensor(rows: batches * target * target, columns: inputs) { to in
            x.read { x in
                pool.split(batches * target, least: 1) { lines, _ in
                    for line in lines {
                        let image = x + line / target * side * side * channels
                        for column in 0..<target {
                            neighbourhood(
                                image, side: side, channels: channels, y: line % target * stride, x: column * stride,
                                to: to + (line * target + column) * inputs)
                        }
                    }
                }
            }
        }
        return linear(neighbourhoods, weight, bias: nil)
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
