private import CKernels

/// Pillow's 8-bit BICUBIC resize, byte for byte: horizontal pass first, bytes in between (MODEL.md section 3).
///
/// Between the passes only the rows that the next result needs are kept, so a large scan costs little beyond its own bytes.
enum ImageResampler {
    /// The image at `width` x `height`; `height * width * 3` bytes.
    static func resize(_ image: RGBImage, width: Int, height: Int) -> [UInt8] {
        let across = image.width == width ? nil : FixedTaps(source: image.width, target: width)
        let down = image.height == height ? nil : FixedTaps(source: image.height, target: height)
        guard across != nil || down != nil else { return image.bytes }
        return [UInt8](unsafeUninitializedCapacity: width * height * 3) { output, count in
            image.bytes.withUnsafeBufferPointer { input in
                switch (across, down) {
                case (let across?, nil):
                    for y in 0..<height {
                        resizeRow(y, of: input, image.width, across, into: output, at: y * width * 3)
                    }
                case (nil, let down?):
                    for y in 0..<height {
                        combineRows(of: input, capacity: image.height, width, down, y, into: output)
                    }
                case (let across?, let down?):
                    let capacity = down.stride
                    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: capacity * width * 3) { ring in
                        var next = down.first(at: 0)
                        for y in 0..<height {
                            while next < down.end(at: y) {
                                resizeRow(
                                    next, of: input, image.width, across, into: ring, at: next % capacity * width * 3)
                                next += 1
                            }
                            combineRows(of: UnsafeBufferPointer(ring), capacity: capacity, width, down, y, into: output)
                        }
                    }
                case (nil, nil):
                    break
                }
            }
            count = width * height * 3
        }
    }

    private static func resizeRow(
        _ row: Int, of input: UnsafeBufferPointer<UInt8>, _ inputWidth: Int, _ taps: FixedTaps,
        into output: UnsafeMutableBufferPointer<UInt8>, at offset: Int
    ) {
        let source = UnsafeBufferPointer(rebasing: input[(row * inputWidth * 3)..<((row + 1) * inputWidth * 3)])
        let target = UnsafeMutableBufferPointer(rebasing: output[offset..<(offset + taps.target * 3)])
        guard let source = source.baseAddress, let target = target.baseAddress else { return }
        taps.withUnsafePointers { first, count, weights in
            quire_resample_row(source, target, taps.target, first, count, weights, taps.stride)
        }
    }

    private static func combineRows(
        of rows: UnsafeBufferPointer<UInt8>, capacity: Int, _ width: Int, _ taps: FixedTaps, _ index: Int,
        into output: UnsafeMutableBufferPointer<UInt8>
    ) {
        let rowBytes = width * 3
        let target = UnsafeMutableBufferPointer(rebasing: output[(index * rowBytes)..<((index + 1) * rowBytes)])
        guard let rows = rows.baseAddress, let target = target.baseAddress else { return }
        taps.withUnsafePointers { first, count, weights in
            quire_resample_column(
                rows, capacity, rowBytes, Int(first[index]), weights + index * taps.stride, Int(count[index]), target)
        }
    }
}

/// The taps of one axis in 22-bit fixed point.
private struct FixedTaps {
    let target: Int
    /// The most taps of one output, and the step between the weights of two outputs.
    let stride: Int
    private var firsts: [Int32] = []
    private var counts: [Int32] = []
    private var weights: [Int32] = []

    init(source: Int, target: Int) {
        let taps = CubicTaps(source: source, target: target)
        self.target = target
        stride = (0..<target).map { taps.range(at: $0).count }.max() ?? 0
        firsts.reserveCapacity(target)
        counts.reserveCapacity(target)
        weights.reserveCapacity(target * stride)
        for index in 0..<target {
            let range = taps.range(at: index)
            firsts.append(Int32(range.lowerBound))
            counts.append(Int32(range.count))
            for weight in taps.weights(at: index) {
                weights.append(Int32(weight * Double(1 << 22) + (weight < 0 ? -0.5 : 0.5)))
            }
            weights.append(contentsOf: repeatElement(0, count: stride - range.count))
        }
    }

    func first(at index: Int) -> Int { Int(firsts[index]) }

    func end(at index: Int) -> Int { Int(firsts[index] + counts[index]) }

    func withUnsafePointers(
        _ body: (UnsafePointer<Int32>, UnsafePointer<Int32>, UnsafePointer<Int32>) -> Void
    ) {
        firsts.withUnsafeBufferPointer { firsts in
            counts.withUnsafeBufferPointer { counts in
                weights.withUnsafeBufferPointer { weights in
                    guard let first = firsts.baseAddress, let count = counts.baseAddress,
                        let weight = weights.baseAddress
                    else { return }
                    body(first, count, weight)
                }
            }
        }
    }
}
