extension ModelConfiguration {
    /// Bytes of the packed weights, about: tables that are only looked up in count too.
    ///
    /// `stored` are the checkpoint's own bytes, which only int8 makes fewer.
    package func weightBytes(_ precision: Precision, stored: Int = .max) -> Int {
        let count = expectedTensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
        switch precision {
        case .float32: return min(4 * count, stored)
        case .bfloat16: return min(2 * count, stored)
        case .int8: return count
        }
    }

    /// Bytes of the largest view's activations, buffers that are kept for the next page included.
    package var activationBytes: Int {
        // The largest mode's views have 1280 pixels a side.
        let positions = (1280 / sam.patchSize) * (1280 / sam.patchSize)
        return positions * (3 * sam.hiddenWidth + 12 * sam.width) * MemoryLayout<Float>.size
    }

    /// Bytes of one token's keys and values in all layers.
    package func cacheBytes(_ precision: Precision) -> Int {
        decoder.layers * 2 * decoder.keyValueHeads * decoder.headWidth * (precision == .float32 ? 4 : 2)
    }
}
