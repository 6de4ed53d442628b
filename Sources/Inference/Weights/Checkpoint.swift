package import SystemPackage

/// A model's weights by name, mapped from one safetensors file or from the shards that an index names.
package final class Checkpoint: Sendable {
    /// One tensor; it keeps the memory that it lies in.
    package struct Tensor: Sendable {
        package let name: String
        package let type: ElementType
        package let shape: [Int]
        /// The file's name, for messages.
        package let file: String
        private let region: any WeightRegion
        private let range: Range<Int>

        init(
            name: String, type: ElementType, shape: [Int], file: String, region: any WeightRegion, range: Range<Int>
        ) {
            self.name = name
            self.type = type
            self.shape = shape
            self.file = file
            self.region = region
            self.range = range
        }

        /// A tensor with elements of its own, for weights that come from no file.
        ///
        /// `bytes` are the elements, row-major and little-endian.
        package init(name: String, type: ElementType, shape: [Int], bytes: [UInt8]) {
            precondition(bytes.count == shape.reduce(type.size, *), "a tensor has as many bytes as its shape says")
            self.init(
                name: name, type: type, shape: shape, file: "memory", region: OwnedBytes(bytes),
                range: 0..<bytes.count)
        }

        package var count: Int { shape.reduce(1, *) }

        /// What the elements are made by, in one go; nil for those that lie somewhere.
        var recipe: RandomRecipe? { region.recipe }

        /// The file's size and time of modification.
        fileprivate var stamp: String? { region.stamp }

        /// Lends the elements' bytes, which need not be aligned.
        package func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
            region.withBytes { body(UnsafeRawBufferPointer(rebasing: $0[range])) }
        }

        /// Lets the system drop the elements from memory; they are read from the file again when they are needed.
        func forget() { region.forget(range) }
    }

    /// The directory, for messages.
    package let path: FilePath
    private let tensors: [String: Tensor]
    /// Tensors that the configuration does not ask for; they do no harm.
    package let unusedNames: [String]

    /// Maps the weights of a model directory and compares every tensor with the configuration.
    ///
    /// - Throws: `unfinishedModel` where a pull has not ended its change of the files, `unreadableFile` for a missing file,
    ///   `badTensors` with all problems of all files.
    package init(directory: FilePath, configuration: ModelConfiguration) throws(InferenceError) {
        path = directory
        guard !MappedFile.exists(directory.appending("quire-model.unfinished.json")) else {
            throw .unfinishedModel(directory)
        }
        let index = directory.appending("model.safetensors.index.json")
        var reader = CheckpointReader(expected: configuration.expectedTensors)
        if MappedFile.exists(index) {
            try reader.readShards(ShardIndex(contentsOf: index), of: directory)
        } else {
            try reader.readFile(directory.appending("model.safetensors"))
        }
        reader.findMissing()
        guard reader.problems.isEmpty else { throw .badTensors(directory, problems: reader.problems) }
        tensors = reader.tensors
        unusedNames = reader.unusedNames.sorted()
    }

    /// Weights that were made in memory.
    init(path: FilePath, tensors: [Tensor]) {
        self.path = path
        self.tensors = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0) })
        unusedNames = []
    }

    /// Names, sizes and times of modification of the weights' files, a line each; nil for weights in memory.
    package var stamp: String? {
        let regions = Dictionary(tensors.values.map { ($0.file, $0.stamp) }, uniquingKeysWith: { first, _ in first })
        var lines: [String] = []
        for (file, stamp) in regions {
            guard let stamp else { return nil }
            lines.append("\(file) \(stamp)\n")
        }
        return lines.sorted().joined()
    }

    /// Bytes of all tensors.
    package var byteCount: Int { tensors.values.reduce(0) { $0 + $1.count * $1.type.size } }

    /// How many elements all tensors have.
    package var parameterCount: Int { tensors.values.reduce(0) { $0 + $1.count } }

    /// The tensor of a name that the configuration asks for.
    ///
    /// - Throws: `badTensors` for any other name.
    package func tensor(_ name: String) throws(InferenceError) -> Tensor {
        guard let tensor = tensors[name] else { throw .badTensors(path, problems: ["\(name): missing"]) }
        return tensor
    }
}

/// Memory that holds weights.
protocol WeightRegion: AnyObject, Sendable {
    func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R
    /// What tells a file's contents from others; nil for memory.
    var stamp: String? { get }
    /// What the elements are made by, where they are made when they are asked for.
    var recipe: RandomRecipe? { get }
    /// Notes that a part is not needed for now.
    func forget(_ range: Range<Int>)
}

extension WeightRegion {
    var stamp: String? { nil }
    var recipe: RandomRecipe? { nil }
    func forget(_ range: Range<Int>) {}
}

extension MappedFile: WeightRegion {}

private final class OwnedBytes: WeightRegion {
    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        bytes.withUnsafeBytes(body)
    }
}
