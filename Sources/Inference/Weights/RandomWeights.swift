private import CKernels
private import Glibc
import SystemPackage

extension Checkpoint {
    /// Random bfloat16 weights in memory, so that a model's speed can be measured without its files.
    ///
    /// No element pattern is zero; variances are such that activations neither vanish nor overflow. 3.3 billion take
    /// 6.7 GB and some seconds.
    /// - Parameters:
    ///   - configuration: the model's sizes.
    ///   - seed: the same seed gives the same weights.
    ///   - threads: how many fill the memory.
    /// - Throws: `badRequest` where there is not enough memory.
    package convenience init(
        randomFor configuration: ModelConfiguration, seed: UInt64 = 1, threads: Int
    ) throws(InferenceError) {
        let expected = configuration.expectedTensors
        let count = expected.reduce(0) { $0 + $1.shape.reduce(1, *) }
        let region = try AnonymousRegion(byteCount: 2 * count)
        var tensors: [Tensor] = []
        var start = 0
        for tensor in expected {
            let end = start + tensor.shape.reduce(1, *)
            let spread = Self.spread(of: tensor)
            WorkerPool(threads: threads).split(end - start, least: 1 << 16) { part, _ in
                region.withElements { elements in
                    quire_fill_random_bf16(
                        elements + start + part.lowerBound, part.count, seed, UInt64(start + part.lowerBound),
                        spread.centre, spread.width)
                }
            }
            tensors.append(
                Tensor(
                    name: tensor.name, type: .bfloat16, shape: tensor.shape, file: "memory", region: region,
                    range: 2 * start..<2 * end))
            start = end
        }
        self.init(path: "memory", tensors: tensors)
    }

    /// Norms' weights lie about 1; matrices keep the variance of what they multiply.
    private static func spread(of tensor: ExpectedTensor) -> (centre: Float, width: Float) {
        let isVector = tensor.shape.count == 1
        if isVector, tensor.name.hasSuffix(".weight") { return (1, 0.1) }
        if isVector { return (0, 0.02) }
        let inputs = tensor.shape.dropFirst().reduce(1, *)
        return (0, (3 / Float(inputs)).squareRoot())
    }
}

/// Zeroed memory of its own, written once and then only read.
///
/// `@unchecked Sendable`: `withElements` is used, on disjoint parts, only before the region is shared.
private final class AnonymousRegion: WeightRegion, @unchecked Sendable {
    private let region: UnsafeMutableRawBufferPointer

    init(byteCount: Int) throws(InferenceError) {
        let size = max(byteCount, 1)
        let flags = MAP_PRIVATE | MAP_ANONYMOUS
        guard let start = mmap(nil, size, PROT_READ | PROT_WRITE, flags, -1, 0), start != MAP_FAILED else {
            throw .badRequest(
                "There is no room for \(byteCount >> 20) MB of weights: \(String(cString: strerror(errno))).")
        }
        madvise(start, size, MADV_HUGEPAGE)
        region = UnsafeMutableRawBufferPointer(start: start, count: size)
    }

    deinit { munmap(region.baseAddress, region.count) }

    func withElements(_ body: (UnsafeMutablePointer<UInt16>) -> Void) {
        guard let base = region.baseAddress else { preconditionFailure("a mapping has an address") }
        body(base.assumingMemoryBound(to: UInt16.self))
    }

    func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        body(UnsafeRawBufferPointer(region))
    }
}
