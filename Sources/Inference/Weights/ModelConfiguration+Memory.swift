extension ModelConfiguration {
    /// Bytes of the packed weights, about: tables that are only looked up in are left out.
    package func weightBytes(_ precision: Precision) -> Int {
        let count = expectedTensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
        return count * (precision == .int8 ? 1 : precision == .bfloat16 ? 2 : 4)
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
