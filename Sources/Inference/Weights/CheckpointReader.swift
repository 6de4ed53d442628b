import SystemPackage

/// Gathers tensors from a checkpoint's files, and everything that does not fit the model's configuration.
struct CheckpointReader {
    private(set) var tensors: [String: Checkpoint.Tensor] = [:]
    private(set) var unusedNames: [String] = []
    /// One sentence a problem, each naming the tensor or the file.
    private(set) var problems: [String] = []
    private let expected: [ExpectedTensor]
    private let shapes: [String: [Int]]
    /// Tensors that have a problem already and are not reported as missing too.
    private var reported: Set<String> = []

    init(expected: [ExpectedTensor]) {
        self.expected = expected
        shapes = Dictionary(uniqueKeysWithValues: expected.map { ($0.name, $0.shape) })
    }

    mutating func readShards(_ index: ShardIndex, of directory: FilePath) throws(InferenceError) {
        for file in index.fileNames {
            let path = directory.appending(file)
            guard MappedFile.exists(path) else {
                let lost = index.files.filter { $0.value == file }.keys
                problems.append("the file \(file) is missing, which should hold \(lost.count) tensors")
                reported.formUnion(lost)
                continue
            }
            try readFile(path)
        }
        for (name, file) in index.files.sorted(by: { $0.key < $1.key }) {
            guard let tensor = tensors[name], tensor.file != file else { continue }
            problems.append("\(name): the index says that it is in \(file), but it is in \(tensor.file)")
        }
    }

    mutating func readFile(_ path: FilePath) throws(InferenceError) {
        let file = try MappedFile(path)
        let fileName = path.lastComponent?.string ?? path.string
        let header = file.withBytes { SafetensorsHeader(parsing: $0) }
        for problem in header.problems {
            problems.append("\(problem.tensor ?? fileName): \(problem.reason) (in \(fileName))")
            if let tensor = problem.tensor { reported.insert(tensor) }
        }
        for entry in header.entries { add(entry, in: file, named: fileName) }
    }

    private mutating func add(_ entry: SafetensorsHeader.Entry, in file: MappedFile, named fileName: String) {
        guard let shape = shapes[entry.name] else {
            unusedNames.append(entry.name)
            return
        }
        guard let type = ElementType(rawValue: entry.type) else {
            problems.append("\(entry.name): its elements are \(entry.type), expected BF16, F16 or F32 (in \(fileName))")
            reported.insert(entry.name)
            return
        }
        guard entry.shape == shape else {
            problems.append("\(entry.name): its shape is \(entry.shape), expected \(shape) (in \(fileName))")
            reported.insert(entry.name)
            return
        }
        let tensor = Checkpoint.Tensor(
            name: entry.name, type: type, shape: shape, file: fileName, region: file, range: entry.bytes)
        if let other = tensors.updateValue(tensor, forKey: entry.name) {
            problems.append("\(entry.name): both in \(other.file) and in \(fileName)")
        }
    }

    /// Reports what the configuration asks for and no file held.
    mutating func findMissing() {
        for tensor in expected where tensors[tensor.name] == nil && !reported.contains(tensor.name) {
            problems.append("\(tensor.name): missing, expected \(tensor.shape)")
        }
    }
}
