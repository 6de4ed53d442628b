import Bench
import Digest
import Inference
import Parity
import SystemPackage
import TestSupport
import Testing

/// Weights on disk and in memory are the same, and what cannot be written is refused with a sentence.
@Suite struct RandomModelFolderTests {
    @Test(arguments: RandomRouter.allCases, [Int.max, 100_000])
    func `what is written and read back is what is made in memory`(router: RandomRouter, largestFile: Int) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("a").appending("b")
        let folder = try RandomModelFolder(.tiny, seed: 7, router: router)
        let report = try folder.write(to: path, largestFile: largestFile, threads: 2)
        #expect((report.files > 1) == (largestFile < .max))

        let configuration = try ModelConfiguration(contentsOf: path.appending("config.json"))
        #expect(configuration == .tiny)
        let written = try Checkpoint(directory: path, configuration: configuration)
        let made = try Checkpoint(randomFor: .tiny, seed: 7, router: router, threads: 1)
        #expect(written.unusedNames.isEmpty && report.tensors == configuration.expectedTensors.count)
        #expect(written.byteCount == report.bytes && made.byteCount == report.bytes)
        for expected in configuration.expectedTensors {
            let tensor = try written.tensor(expected.name)
            #expect(tensor.type == .bfloat16)
            #expect(tensor.withBytes(Array.init) == (try made.tensor(expected.name).withBytes(Array.init)))
        }
    }

    /// tools/torch-bench/check_weights.py holds the same digest against its own weights.
    @Test func `the weights are those that PyTorch is measured with`() {
        let weights = RandomWeights(for: .tiny)
        let bytes = withUnsafeTemporaryAllocation(of: UInt16.self, capacity: weights.count) { elements in
            weights.fill(elements, from: 0, threads: 2)
            return Array(UnsafeRawBufferPointer(elements))
        }
        let digest = SHA256.hash(bytes).hex
        #expect(digest == "bd3717daa4a81f95f71876b3f774c9bbe89b677c0a6cb3d7f6662b9f6819fb2d")
    }

    @Test func `headers are valid, aligned and without gaps, and no file is larger than asked`() throws {
        let directory = try TemporaryDirectory()
        let limit = 400_000
        let report = try RandomModelFolder(.tiny).write(to: directory.path, largestFile: limit, threads: 1)
        var names: [String] = []
        for number in 1...report.files {
            let file = try MappedFile(
                directory.path.appending("model-\(padded(number))-of-\(padded(report.files)).safetensors"))
            let header = file.withBytes { SafetensorsHeader(parsing: $0) }
            #expect(header.problems.isEmpty)
            let start = try #require(header.entries.first?.bytes.lowerBound)
            #expect(start % 64 == 0 && header.entries.last?.bytes.upperBound == file.count)
            for (entry, next) in zip(header.entries, header.entries.dropFirst()) {
                #expect(entry.bytes.upperBound == next.bytes.lowerBound)
            }
            // A tensor that is larger than the limit has a file of its own.
            #expect(file.count - start <= limit || header.entries.count == 1)
            names += header.entries.map(\.name)
        }
        #expect(names == ModelConfiguration.tiny.expectedTensors.map(\.name))
    }

    @Test func `every size survives config json`() throws {
        var wide = ModelConfiguration.tiny
        (wide.decoder.normalisesExpertWeights, wide.decoder.routedScale) = (true, 2.5)
        (wide.decoder.denseLayers, wide.decoder.expertLayerFrequency) = (2, 3)
        let directory = try TemporaryDirectory()
        _ = try RandomModelFolder(wide).write(to: directory.path, threads: 1)
        #expect(try ModelConfiguration(contentsOf: directory.path.appending("config.json")) == wide)
    }

    @Test func `a skewed router changes the routers and nothing else`() throws {
        let balanced = try Checkpoint(randomFor: .tiny, threads: 1)
        let skewed = try Checkpoint(randomFor: .tiny, router: .skewed, threads: 1)
        for expected in ModelConfiguration.tiny.expectedTensors {
            let (one, other) = (try balanced.tensor(expected.name).floats(), try skewed.tensor(expected.name).floats())
            guard expected.name.hasSuffix(".mlp.gate.weight") else {
                #expect(one == other)
                continue
            }
            let columns = expected.shape[1]
            for place in one.indices {
                let wanted = one[place] * RandomRouter.skewed.scale(ofExpert: place / columns)
                #expect(abs(other[place] - wanted) <= abs(wanted) / 64)
            }
        }
    }

    /// Of 64 experts six a row: an even spread gives the first sixteen a quarter.
    @Test(arguments: [(RandomRouter.balanced, 0.2...0.3), (.skewed, 0.7...0.85)])
    func `a skewed router sends most rows to a few experts`(router: RandomRouter, share: ClosedRange<Double>) throws {
        var model = ModelConfiguration.tiny
        (model.decoder.hiddenSize, model.decoder.heads, model.decoder.keyValueHeads) = (1280, 10, 10)
        (model.decoder.routedExperts, model.decoder.expertIntermediateSize) = (64, 1)
        let gate = try Checkpoint(randomFor: model, router: router, threads: 1)
            .tensor("model.layers.1.mlp.gate.weight").floats()
        var random = FixedRandom(seed: 3)
        var (first, all) = (0, 0)
        for _ in 0..<200 {
            let row = random.floats(1280)
            let scores = (0..<64).map { expert in
                zip(row, gate[expert * 1280..<(expert + 1) * 1280]).reduce(0) { $0 + $1.0 * $1.1 }
            }
            let chosen = (0..<64).sorted { scores[$0] > scores[$1] }.prefix(6)
            first += chosen.count { $0 < 16 }
            all += chosen.count
        }
        #expect(share.contains(Double(first) / Double(all)))
    }

    @Test func `the tokenizer is copied and names the image token`() throws {
        let directory = try TemporaryDirectory()
        let tokenizer = Fixtures.golden.path.appending("tiny-f32").appending("tokenizer.json")
        var model = ModelConfiguration.tiny
        model.imageToken = 17
        _ = try RandomModelFolder(model, tokenizer: tokenizer).write(to: directory.path, threads: 1)
        let id = try Tokenizer(contentsOf: directory.path.appending("tokenizer.json")).id(of: "<image>")
        let configuration = try ModelConfiguration(contentsOf: directory.path.appending("config.json"))
        #expect(id != nil && configuration.imageToken == id)
    }

    @Test func `a directory that holds a model is left alone`() throws {
        let directory = try TemporaryDirectory()
        try directory.makeFile("config.json", Array("{}".utf8))
        #expect(throws: WeightsError.occupied(directory.path)) {
            try RandomModelFolder(.tiny).write(to: directory.path, threads: 1)
        }
        #expect(directory.text(of: directory.path.appending("config.json")) == "{}")
    }

    @Test func `what was left half written is replaced`() throws {
        let directory = try TemporaryDirectory()
        try directory.makeFile("model.safetensors.index.json", Array("{\"weight_map\": {}}".utf8))
        try directory.makeFile("model.safetensors", [1, 2, 3])
        _ = try RandomModelFolder(.tiny).write(to: directory.path, threads: 1)
        _ = try Checkpoint(directory: directory.path, configuration: .tiny)
    }

    @Test func `a disk that becomes full is named, and nothing stays behind`() throws {
        let directory = try TemporaryDirectory()
        // /dev/full takes no byte.
        try directory.link("model-00002-of-00002.safetensors", to: "/dev/full")
        let half = RandomWeights(for: .tiny).count
        let problem = try #require(throws: WeightsError.self) {
            try RandomModelFolder(.tiny).write(to: directory.path, largestFile: half + 200_000, threads: 1)
        }
        #expect(problem == .unwritable(directory.path.appending("model-00002-of-00002.safetensors"), .noSpace))
        #expect("\(problem)".hasPrefix("The disk became full while \(directory.path)"))
        #expect(!MappedFile.exists(directory.path.appending("model-00001-of-00002.safetensors")))
        #expect(!MappedFile.exists(directory.path.appending("config.json")))
    }

    @Test func `a model that is larger than the disk is refused before a byte is written`() throws {
        var model = ModelConfiguration.tiny
        model.decoder.vocabularySize = 1 << 46
        let directory = try TemporaryDirectory()
        let problem = try #require(throws: WeightsError.self) {
            try RandomModelFolder(model).write(to: directory.path, threads: 1)
        }
        #expect("\(problem)".contains("has too little room: the weights take "))
    }

    @Test(arguments: ["/proc/self/model", "/dev/null/model"])
    func `a directory that cannot be made is named`(place: String) throws {
        let problem = try #require(throws: WeightsError.self) {
            try RandomModelFolder(.tiny).write(to: FilePath(place), threads: 1)
        }
        #expect("\(problem)".hasPrefix("Cannot write \(place)"))
    }

    private func padded(_ number: Int) -> String {
        String(repeating: "0", count: 5 - "\(number)".count) + "\(number)"
    }
}
