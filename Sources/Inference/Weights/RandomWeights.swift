private import CKernels
private import Glibc
import SystemPackage

/// Random bfloat16 weights of a model's shape, so that its speed can be measured without its files.
///
/// All tensors are one long row of elements, each a function of the seed and its place alone: any part can be made at any
/// time, in memory or for a file. No element pattern is zero; variances are such that activations neither vanish nor
/// overflow.
package struct RandomWeights: Sendable {
    /// One tensor and the elements that are its own.
    package struct Section: Sendable {
        package let tensor: ExpectedTensor
        package let elements: Range<Int>
        fileprivate let centre: Float
        fileprivate let width: Float
        fileprivate let isRouter: Bool

        fileprivate init(_ tensor: ExpectedTensor, from start: Int) {
            self.tensor = tensor
            elements = start..<start + tensor.shape.reduce(1, *)
            isRouter = tensor.name.hasSuffix(".mlp.gate.weight")
            // Norms' weights lie about 1; matrices keep the variance of what they multiply.
            if tensor.shape.count == 1 {
                (centre, width) = tensor.name.hasSuffix(".weight") ? (1, 0.1) : (0, 0.02)
            } else {
                let inputs = tensor.shape.dropFirst().reduce(1, *)
                (centre, width) = (0, (3 / Float(inputs)).squareRoot())
            }
        }
    }

    /// The tensors that the model asks for, one after the other without a gap.
    package let sections: [Section]
    private let seed: UInt64
    private let router: RandomRouter

    /// - Parameters:
    ///   - configuration: the model's sizes.
    ///   - seed: the same seed gives the same weights.
    ///   - router: how the experts share the rows.
    package init(for configuration: ModelConfiguration, seed: UInt64 = 1, router: RandomRouter = .balanced) {
        self.seed = seed
        self.router = router
        var sections: [Section] = []
        for tensor in configuration.expectedTensors {
            sections.append(Section(tensor, from: sections.last?.elements.upperBound ?? 0))
        }
        self.sections = sections
    }

    /// How many elements all tensors have.
    package var count: Int { sections.last?.elements.upperBound ?? 0 }

    /// Makes the elements from `first` on, as many as fit; `threads` share the work.
    package func fill(_ elements: UnsafeMutableBufferPointer<UInt16>, from first: Int, threads: Int) {
        guard let base = elements.baseAddress else { return }
        // Each part writes to elements of its own.
        nonisolated(unsafe) let start = base
        WorkerPool(threads: threads).split(elements.count, least: 1 << 16) { part, _ in
            fill(start + part.lowerBound, range: first + part.lowerBound..<first + part.upperBound)
        }
    }

    private func fill(_ to: UnsafeMutablePointer<UInt16>, range: Range<Int>) {
        for section in sections[firstSection(after: range.lowerBound)...] {
            guard section.elements.lowerBound < range.upperBound else { return }
            for (run, scale) in runs(of: section) {
                let part = run.clamped(to: range)
                guard !part.isEmpty else { continue }
                quire_fill_random_bf16(
                    to + (part.lowerBound - range.lowerBound), part.count, seed, UInt64(part.lowerBound),
                    section.centre, section.width * scale)
            }
        }
    }

    /// What all of a tensor's elements are made by; nil where rows have scales of their own.
    fileprivate func recipe(of section: Section) -> RandomRecipe? {
        guard runs(of: section).allSatisfy({ $0.scale == 1 }) else { return nil }
        return RandomRecipe(
            seed: seed, first: section.elements.lowerBound, centre: section.centre, width: section.width)
    }

    /// The parts of a tensor that have a scale of their own: a skewed router's rows, and all of any other tensor.
    private func runs(of section: Section) -> [(elements: Range<Int>, scale: Float)] {
        guard section.isRouter, let experts = section.tensor.shape.first, experts > 0 else {
            return [(section.elements, 1)]
        }
        let columns = section.elements.count / experts
        return (0..<experts).map { expert in
            let start = section.elements.lowerBound + expert * columns
            return (start..<start + columns, router.scale(ofExpert: expert))
        }
    }

    /// The place of the first section that ends after an element.
    private func firstSection(after element: Int) -> Int {
        var (low, high) = (0, sections.count)
        while low < high {
            let middle = (low + high) / 2
            if sections[middle].elements.upperBound <= element { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// What a tensor's random elements are made by (`quire_fill_random_bf16`).
struct RandomRecipe: Sendable {
    let seed: UInt64
    /// The place of the first element among those of all tensors.
    let first: Int
    let centre: Float
    let width: Float
}

extension Checkpoint {
    /// Random weights that are made when they are asked for, the same as those in memory.
    ///
    /// A GPU makes them itself.
    package convenience init(lazilyRandomFor configuration: ModelConfiguration, seed: UInt64 = 1) {
        let weights = RandomWeights(for: configuration, seed: seed)
        self.init(
            path: "memory",
            tensors: weights.sections.map { section in
                Tensor(
                    name: section.tensor.name, type: .bfloat16, shape: section.tensor.shape, file: "memory",
                    region: RandomRegion(weights, section), range: 0..<2 * section.elements.count)
            })
    }

    /// Random weights in memory: 3.3 billion take 6.7 GB and some seconds.
    ///
    /// - Parameters:
    ///   - configuration: the model's sizes.
    ///   - seed: the same seed gives the same weights.
    ///   - router: how the experts share the rows.
    ///   - threads: how many fill the memory.
    /// - Throws: `badRequest` where there is not enough memory.
    package convenience init(
        randomFor configuration: ModelConfiguration, seed: UInt64 = 1, router: RandomRouter = .balanced, threads: Int
    ) throws(InferenceError) {
        let weights = RandomWeights(for: configuration, seed: seed, router: router)
        let region = try AnonymousRegion(byteCount: 2 * weights.count)
        region.withElements { weights.fill($0, from: 0, threads: threads) }
        self.init(
            path: "memory",
            tensors: weights.sections.map { section in
                Tensor(
                    name: section.tensor.name, type: .bfloat16, shape: section.tensor.shape, file: "memory",
                    region: region, range: 2 * section.elements.lowerBound..<2 * section.elements.upperBound)
            })
    }
}

/// The elements of one tensor, made anew each time that they are asked for.
private final class RandomRegion: WeightRegion {
    private let weights: RandomWeights
    private let section: RandomWeights.Section

    init(_ weights: RandomWeights, _ section: RandomWeights.Section) {
        self.weights = weights
        self.section = section
    }

    var recipe: RandomRecipe? { weights.recipe(of: section) }

    func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        let elements = UnsafeMutableBufferPointer<UInt16>.allocate(capacity: section.elements.count)
        defer { elements.deallocate() }
        weights.fill(elements, from: section.elements.lowerBound, threads: 1)
        return body(UnsafeRawBufferPointer(elements))
    }
}

/// Zeroed memory of its own, written once and then only read.
///
/// `@unchecked Sendable`: `withElements` is used only before the region is shared.
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

    func withElements(_ body: (UnsafeMutableBufferPointer<UInt16>) -> Void) {
        body(region.bindMemory(to: UInt16.self))
    }

    func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        body(UnsafeRawBufferPointer(region))
    }
}
