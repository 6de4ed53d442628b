private import Glibc
package import Inference
package import SystemPackage

/// A model directory in Hugging Face's layout with random weights: those that `Checkpoint(randomFor:)` makes in memory.
package struct RandomModelFolder: Sendable {
    /// What was written.
    package struct Report: Sendable {
        package let tensors: Int
        package let files: Int
        package let bytes: Int
    }

    private let configuration: ModelConfiguration
    private let weights: RandomWeights
    private let origin: [(String, String)]
    private let tokenizer: FilePath?

    /// - Parameters:
    ///   - configuration: the model's sizes.
    ///   - seed: the same seed gives the same weights.
    ///   - router: how the experts share the rows.
    ///   - tokenizer: a `tokenizer.json` to copy; its id of `<image>` becomes the model's.
    /// - Throws: `unreadableFile` or `badTokenizer`.
    package init(
        _ configuration: ModelConfiguration, seed: UInt64 = 1, router: RandomRouter = .balanced,
        tokenizer: FilePath? = nil
    ) throws(InferenceError) {
        var configuration = configuration
        if let tokenizer {
            guard let id = try Tokenizer(contentsOf: tokenizer).id(of: Prompt.placeholder) else {
                throw .badTokenizer(tokenizer, reason: "it has no token \(Prompt.placeholder)")
            }
            guard Int(id) < configuration.decoder.vocabularySize else {
                throw .badTokenizer(tokenizer, reason: "\(Prompt.placeholder) is \(id), which the model has no row for")
            }
            configuration.imageToken = id
        }
        self.configuration = configuration
        self.tokenizer = tokenizer
        weights = RandomWeights(for: configuration, seed: seed, router: router)
        origin = [("seed", "\(seed)"), ("router", "\"\(router.rawValue)\"")]
    }

    /// Writes the directory; `config.json` comes last, so that one which has it is whole.
    ///
    /// - Parameters:
    ///   - directory: made where it is missing; must not hold a model.
    ///   - largestFile: bytes of weights that one file may have.
    ///   - threads: how many make the weights.
    /// - Returns: How much was written.
    /// - Throws: `WeightsError`, after removing what was written; `unreadableFile` for a tokenizer that went away.
    package func write(
        to directory: FilePath, largestFile: Int = 4_500_000_000, threads: Int
    ) throws -> Report {
        try prepare(directory)
        let shards = shards(largestFile: largestFile)
        let names = Self.fileNames(shards.count)
        var output = OutputFiles(directory)
        do {
            for (shard, name) in zip(shards, names) {
                try output.write(name) { try write(shard, to: $0, threads: threads) }
            }
            if shards.count > 1 {
                try output.write("model.safetensors.index.json", text: index(shards, names))
            }
            if let tokenizer { try output.write("tokenizer.json", bytes: MappedFile(tokenizer).bytes()) }
            try output.write("config.json", text: ConfigurationFile(configuration, origin: origin).text)
        } catch {
            output.removeAll()
            throw error
        }
        return Report(tensors: weights.sections.count, files: shards.count, bytes: 2 * weights.count)
    }

    private func prepare(_ directory: FilePath) throws(WeightsError) {
        guard !MappedFile.exists(directory.appending("config.json")) else { throw .occupied(directory) }
        var folder = FilePath(root: directory.root, [])
        for component in directory.components {
            folder.append(component)
            guard folder.withPlatformString({ mkdir($0, 0o755) }) == 0 || errno == EEXIST else {
                throw .unwritable(folder, Errno(rawValue: errno))
            }
        }
        // The index of a larger model that was left half written would be read before a single file.
        _ = directory.appending("model.safetensors.index.json").withPlatformString { unlink($0) }
        var system = statvfs()
        guard directory.withPlatformString({ statvfs($0, &system) }) == 0 else {
            throw .unwritable(directory, Errno(rawValue: errno))
        }
        let free = Int(system.f_bavail) * Int(system.f_frsize)
        guard free >= 2 * weights.count else { throw .noRoom(directory, needed: 2 * weights.count, free: free) }
    }

    // MARK: - Files

    /// Tensors by file: each file takes as many as fit.
    private func shards(largestFile: Int) -> [ArraySlice<RandomWeights.Section>] {
        let sections = weights.sections
        var shards: [ArraySlice<RandomWeights.Section>] = []
        var start = 0
        for (place, section) in sections.enumerated() where place > start {
            guard 2 * (section.elements.upperBound - sections[start].elements.lowerBound) > largestFile else {
                continue
            }
            shards.append(sections[start..<place])
            start = place
        }
        return shards + [sections[start...]]
    }

    private static func fileNames(_ count: Int) -> [String] {
        func padded(_ number: Int) -> String {
            String(repeating: "0", count: max(0, 5 - "\(number)".count)) + "\(number)"
        }
        return count == 1
            ? ["model.safetensors"] : (1...count).map { "model-\(padded($0))-of-\(padded(count)).safetensors" }
    }

    private func index(_ shards: [ArraySlice<RandomWeights.Section>], _ names: [String]) -> String {
        let entries = zip(shards, names).flatMap { shard, name in
            shard.map { "  \"\($0.tensor.name)\": \"\(name)\"" }
        }
        return "{\n \"metadata\": {\"total_size\": \(2 * weights.count)},\n \"weight_map\": {\n"
            + entries.joined(separator: ",\n") + "\n }\n}\n"
    }

    /// Writes one safetensors file: the header, padded so that the data is aligned, and the elements piece by piece.
    private func write(_ shard: ArraySlice<RandomWeights.Section>, to file: FileDescriptor, threads: Int) throws {
        guard let first = shard.first?.elements.lowerBound, let end = shard.last?.elements.upperBound else { return }
        let entries = shard.map { section in
            let (from, to) = (2 * (section.elements.lowerBound - first), 2 * (section.elements.upperBound - first))
            return "\"\(section.tensor.name)\":"
                + "{\"dtype\":\"BF16\",\"shape\":\(section.tensor.shape),\"data_offsets\":[\(from),\(to)]}"
        }
        var header = Array("{\"__metadata__\":{\"format\":\"pt\"},\(entries.joined(separator: ","))}".utf8)
        header += [UInt8](repeating: UInt8(ascii: " "), count: (64 - (8 + header.count) % 64) % 64)
        _ = try file.writeAll(withUnsafeBytes(of: UInt64(header.count).littleEndian, Array.init) + header)
        let piece = 1 << 24
        try withUnsafeTemporaryAllocation(of: UInt16.self, capacity: min(piece, end - first)) { buffer in
            for start in stride(from: first, to: end, by: piece) {
                let elements = UnsafeMutableBufferPointer(rebasing: buffer[..<min(piece, end - start)])
                weights.fill(elements, from: start, threads: threads)
                _ = try file.writeAll(UnsafeRawBufferPointer(elements))
            }
        }
    }
}

/// The files that were written to a directory so far.
private struct OutputFiles {
    private let directory: FilePath
    private var written: [FilePath] = []

    init(_ directory: FilePath) { self.directory = directory }

    mutating func write(_ name: String, _ body: (FileDescriptor) throws -> Void) throws {
        let path = directory.appending(name)
        do {
            let file = try FileDescriptor.open(
                path, .writeOnly, options: [.create, .truncate], permissions: [.ownerReadWrite, .groupRead, .otherRead])
            written.append(path)
            try file.closeAfter { try body(file) }
        } catch let error as Errno {
            throw WeightsError.unwritable(path, error)
        }
    }

    mutating func write(_ name: String, bytes: [UInt8]) throws {
        try write(name) { _ = try $0.writeAll(bytes) }
    }

    mutating func write(_ name: String, text: String) throws { try write(name, bytes: Array(text.utf8)) }

    func removeAll() {
        for path in written { _ = path.withPlatformString { unlink($0) } }
    }
}
