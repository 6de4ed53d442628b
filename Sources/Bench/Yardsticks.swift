private import COpenBLAS
private import Dispatch
private import Glibc

/// How fast this machine multiplies and reads: what the engine's figures are compared with.
struct Yardsticks {
    /// Operations a second of OpenBLAS's sgemm on large square matrices.
    let operations: Double
    /// Bytes a second that all threads together read from memory.
    let bandwidth: Double

    /// Measures both, the best of some runs.
    init(threads: Int) {
        operations = MatrixProduct.operationsPerSecond(threads: threads)
        bandwidth = Self.bandwidth(threads: threads)
    }

    private init(operations: Double, bandwidth: Double) {
        self.operations = operations
        self.bandwidth = bandwidth
    }

    /// The better of two measurements: on a machine that others use too, one moment may be a bad one.
    func best(_ other: Yardsticks) -> Yardsticks {
        Yardsticks(operations: max(operations, other.operations), bandwidth: max(bandwidth, other.bandwidth))
    }

    /// Bytes a second of reading a gigabyte from its beginning to its end, each thread its own part.
    static func bandwidth(threads: Int, byteCount: Int = 1 << 30) -> Double {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS
        guard let memory = mmap(nil, byteCount, PROT_READ | PROT_WRITE, flags, -1, 0), memory != MAP_FAILED else {
            return 0
        }
        defer { munmap(memory, byteCount) }
        madvise(memory, byteCount, MADV_HUGEPAGE)
        memset(memory, 1, byteCount)
        let part = byteCount / threads / 256 * 256
        let sums = UnsafeMutablePointer<UInt64>.allocate(capacity: threads)
        defer { sums.deallocate() }
        nonisolated(unsafe) let (base, results) = (UnsafeRawPointer(memory), sums)
        let clock = ContinuousClock()
        let best = (0..<4).map { _ in
            clock.measure {
                DispatchQueue.concurrentPerform(iterations: threads) { thread in
                    results[thread] = sum(base + thread * part, part)
                }
            } / .seconds(1)
        }.min()
        // Used, so that the reading is not left out.
        guard (0..<threads).allSatisfy({ sums[$0] > 0 }) else { return 0 }
        return best.map { Double(part * threads) / $0 } ?? 0
    }

    private static func sum(_ from: UnsafeRawPointer, _ byteCount: Int) -> UInt64 {
        var sums = (SIMD8<UInt64>.zero, SIMD8<UInt64>.zero, SIMD8<UInt64>.zero, SIMD8<UInt64>.zero)
        for offset in stride(from: 0, to: byteCount, by: 256) {
            sums.0 &+= from.load(fromByteOffset: offset, as: SIMD8<UInt64>.self)
            sums.1 &+= from.load(fromByteOffset: offset + 64, as: SIMD8<UInt64>.self)
            sums.2 &+= from.load(fromByteOffset: offset + 128, as: SIMD8<UInt64>.self)
            sums.3 &+= from.load(fromByteOffset: offset + 192, as: SIMD8<UInt64>.self)
        }
        return (sums.0 &+ sums.1 &+ sums.2 &+ sums.3).wrappedSum()
    }
}

/// How fast a page could be read on a machine at best: every part either computes or reads at full speed.
struct Roofline {
    let costs: ModelCosts
    let yardsticks: Yardsticks
    /// Bytes of a weight, and of a key's or value's element.
    let weightBytes: Double
    let cacheBytes: Double

    /// Seconds of a page of `pageTokens` tokens, `batch` of them together.
    func pageSeconds(_ image: EncodedPage, batch: Int, pageTokens: Int) -> Double {
        let fixed = (costs.encoding(image.prepared) + costs.prefill(tokens: image.promptTokens)) / yardsticks.operations
        let decoding = (1...pageTokens).reduce(0) { sum, token in
            let context = image.promptTokens + token
            let computing = costs.decoding(context: context) / yardsticks.operations
            let reading = bytes(context: context, batch: batch) / yardsticks.bandwidth
            return sum + max(computing, reading)
        }
        return fixed + decoding
    }

    /// Bytes that a token reads, its part of what a step reads for all.
    func bytes(context: Int, batch: Int) -> Double {
        costs.weightsRead(batch: batch) * weightBytes / Double(batch) + costs.cacheRead(context: context) * cacheBytes
    }
}
