private import COpenBLAS
private import Dispatch
private import Glibc
import Parity

/// How fast this machine multiplies and reads: what the engine's figures are compared with.
struct Yardsticks {
    /// Operations a second of OpenBLAS's sgemm on large square matrices.
    let operations: Double
    /// Bytes a second that all threads together read from memory.
    let bandwidth: Double

    /// Measures both, the best of some runs.
    init(threads: Int) {
        operations = MatrixProduct.operationsPerSecond(threads: threads)
        let reading = MemoryReading(threads: threads)
        bandwidth = (0..<4).map { _ in reading.bandwidth() }.max() ?? 0
    }

    private init(operations: Double, bandwidth: Double) {
        self.operations = operations
        self.bandwidth = bandwidth
    }

    /// The better of two measurements: on a machine that others use too, one moment may be a bad one.
    func best(_ other: Yardsticks) -> Yardsticks {
        Yardsticks(operations: max(operations, other.operations), bandwidth: max(bandwidth, other.bandwidth))
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
