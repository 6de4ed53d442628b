import Inference
import SystemPackage
import Testing

@Suite struct CheckpointTests {
    @Test func `the released model has 2710 tensors and 3.3 billion parameters`() {
        let expected = ModelConfiguration().expectedTensors
        #expect(expected.count == 2710)
        #expect(expected.reduce(0) { $0 + $1.shape.reduce(1, *) } == 3_336_106_240)
        #expect(Set(expected.map(\.name)).count == 2710)
        #expect(
            expected.contains(
                ExpectedTensor(name: "model.sam_model.blocks.11.attn.rel_pos_w", shape: [127, 64])))
    }

    @Test(arguments: ElementType.allCases) func `a whole checkpoint loads`(type: ElementType) throws {
        let folder = try ModelFolder()
        let tensors = ModelFolder.tensors(type: type)
        try folder.write(ModelFolder.file(tensors), to: "model.safetensors")
        let checkpoint = try Checkpoint(directory: folder.path, configuration: ModelFolder.configuration)
        let norm = try checkpoint.tensor("model.norm.weight")
        #expect(norm.type == type && norm.shape == [8])
        #expect(checkpoint.parameterCount * type.size == checkpoint.byteCount)
        #expect(throws: InferenceError.self) { try checkpoint.tensor("model.nothing") }
    }

    @Test func `every problem is reported at once and names its tensor`() throws {
        let folder = try ModelFolder()
        var tensors = ModelFolder.tensors()
        tensors.removeAll { $0.name == "model.norm.weight" }
        edit(&tensors, "lm_head.weight") { $0.shape = [8, 12] }
        edit(&tensors, "model.image_newline") { $0.type = "I32" }
        edit(&tensors, "model.view_seperator") { $0.bytes.removeLast(4) }
        try folder.write(ModelFolder.file(tensors), to: "model.safetensors")
        let problems = try folder.problems()
        #expect(problems.count == 4)
        #expect(problems.contains { $0 == "model.norm.weight: missing, expected [8]" })
        #expect(problems.contains { $0.hasPrefix("lm_head.weight: its shape is [8, 12], expected [12, 8]") })
        #expect(problems.contains { $0.hasPrefix("model.image_newline: its elements are I32, expected BF16") })
        #expect(problems.contains { $0.hasPrefix("model.view_seperator: F32 [8] takes 32 bytes, but data_offsets") })
        let error = InferenceError.badTensors(folder.path, problems: problems)
        #expect("\(error)".contains("model.norm.weight") && "\(error)".contains(folder.path.string))
    }

    @Test func `a file that is cut off names the first tensors that it lacks`() throws {
        let folder = try ModelFolder()
        let whole = ModelFolder.file(ModelFolder.tensors())
        try folder.write(Array(whole.dropLast(40)), to: "model.safetensors")
        let problems = try folder.problems()
        #expect(problems.count == 2)
        #expect(
            problems.contains { $0.hasPrefix("model.norm.weight: its data ends at byte \(whole.count), but the file") })
    }

    @Test func `tensors that nobody asked for do no harm, whatever their type`() throws {
        let folder = try ModelFolder()
        var extra = TestTensor("model.rotary.positions", [2], [1, 2])
        extra.type = "I32"
        try folder.write(ModelFolder.file(ModelFolder.tensors() + [extra]), to: "model.safetensors")
        let checkpoint = try Checkpoint(directory: folder.path, configuration: ModelFolder.configuration)
        #expect(checkpoint.unusedNames == ["model.rotary.positions"])
    }

    @Test func `shards are found by the index, whatever they are called`() throws {
        let folder = try ModelFolder()
        let tensors = ModelFolder.tensors()
        let files = ["a-00001-of-000002.safetensors", "b.safetensors"]
        for (place, file) in files.enumerated() {
            try folder.write(
                ModelFolder.file(tensors.enumerated().filter { $0.offset % 2 == place }.map(\.element)), to: file)
        }
        let map = tensors.enumerated().map { "\"\($1.name)\": \"\(files[$0 % 2])\"" }
        try folder.write("{\"weight_map\": {\(map.joined(separator: ","))}}", to: "model.safetensors.index.json")
        #expect(try folder.problems() == [])

        try folder.write(ModelFolder.file(tensors), to: "b.safetensors")
        #expect(try folder.problems().contains { $0.hasPrefix("lm_head.weight: both in") })

        let other = map.map { $0.replacing("b.safetensors", with: "c.safetensors") }
        try folder.write("{\"weight_map\": {\(other.joined(separator: ","))}}", to: "model.safetensors.index.json")
        let problems = try folder.problems()
        #expect(problems == ["the file c.safetensors is missing, which should hold \(tensors.count / 2) tensors"])
    }

    @Test(arguments: ["../model.safetensors", "/etc/passwd", "..", "", "a/b"])
    func `an index that leaves the directory is refused`(file: String) throws {
        let folder = try ModelFolder()
        try folder.write("{\"weight_map\": {\"lm_head.weight\": \"\(file)\"}}", to: "model.safetensors.index.json")
        #expect {
            try folder.problems()
        } throws: { error in
            guard case InferenceError.badConfiguration(let path, let reason) = error else { return false }
            return path.lastComponent == "model.safetensors.index.json" && reason.contains("lm_head.weight")
        }
    }

    @Test func `a missing file is named`() throws {
        let folder = try ModelFolder()
        #expect {
            try folder.problems()
        } throws: { error in
            guard case InferenceError.unreadableFile(let path, _) = error else { return false }
            return path == folder.path.appending("model.safetensors")
        }
    }

    @Test(arguments: [
        ("", "no header"), ("{}", "missing"), ("[]", "not a JSON object"), ("{\"a\":", "not JSON at byte"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{}}"#, "a: named twice"),
        (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, "a: its header entry lacks"),
        (#"{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}"#, "a: its header entry lacks"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, "a: F32 [1] takes 4 bytes"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}"#, "a: F32 [1] takes 4 bytes"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[8000,8004]}}"#, "a: its data ends at byte"),
        (#"{"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}"#, "a: the element type F33"),
        (#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}"#, "a: the shape"),
        (
            #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#,
            "b: its data overlaps that of a"
        ),
    ])
    func `a broken header is explained`(header: String, wanted: String) throws {
        let folder = try ModelFolder()
        let bytes = header.isEmpty ? [1, 2, 3] : ModelFolder.file(header: header, Array(repeating: 0, count: 16))
        try folder.write(bytes, to: "model.safetensors")
        let problems = try folder.problems()
        #expect(problems.contains { $0.contains(wanted) }, "\(problems.prefix(2))")
    }

    @Test(arguments: [UInt64.max, 1 << 62, 1 << 40, 200, 9]) func `a header of impossible length is refused`(
        length: UInt64
    ) throws {
        let folder = try ModelFolder()
        try folder.write(withUnsafeBytes(of: length.littleEndian, Array.init) + [0x7B, 0x7D], to: "model.safetensors")
        #expect(try folder.problems().contains { $0.contains("the header is said to have \(length) bytes") })
    }

    @Test func `damaged files are refused or load, and never crash`() throws {
        let folder = try ModelFolder()
        let whole = ModelFolder.file(ModelFolder.tensors(type: .bfloat16))
        let header = whole.prefix(8).withUnsafeBytes { Int($0.loadUnaligned(as: UInt64.self)) } + 8
        var random = FixedRandom(seed: 17)
        for _ in 0..<100 {
            var bytes = whole
            for _ in 0...Int.random(in: 0..<4, using: &random) {
                bytes[Int.random(in: 0..<header, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            let problems = bytes.withUnsafeBytes { SafetensorsHeader(parsing: $0) }.problems
            try folder.write(bytes, to: "model.safetensors")
            #expect(try problems.isEmpty || !folder.problems().isEmpty)
        }
    }

    @Test func `random weights fit any configuration and are never zero`() throws {
        let checkpoint = try Checkpoint(randomFor: ModelFolder.configuration, threads: 2)
        let again = try Checkpoint(randomFor: ModelFolder.configuration, threads: 1)
        for expected in ModelFolder.configuration.expectedTensors {
            let values = try checkpoint.tensor(expected.name).floats()
            #expect(values.allSatisfy { $0 != 0 && abs($0) < 3 })
            #expect(try again.tensor(expected.name).floats() == values)
        }
    }

    private func edit(_ tensors: inout [TestTensor], _ name: String, _ change: (inout TestTensor) -> Void) {
        for place in tensors.indices where tensors[place].name == name { change(&tensors[place]) }
    }
}
