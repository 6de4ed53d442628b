import Coordinator
import Inference
import SystemPackage
import TestSupport
import Testing

@Suite struct ModelVerificationTests {
    private let temporary: TemporaryDirectory
    private var directory: FilePath { temporary.path }

    /// Each test has a copy of the small checkpoint to damage.
    init() throws {
        temporary = try TemporaryDirectory()
        let source = FilePath.package().appending("models/quire-nano")
        for name in ["config.json", "model.safetensors", "quire.json", "tokenizer.json", "tokenizer_config.json"] {
            try temporary.path.appending(name).write(#require(source.appending(name).content))
        }
    }

    private func change(_ name: String, _ body: (inout [UInt8]) throws -> Void) throws {
        let path = directory.appending(name)
        var bytes = try #require(path.content)
        try body(&bytes)
        try path.write(bytes)
    }

    @Test func `The small checkpoint is right`() async {
        let result = await ModelVerification.run(directory, values: true)
        #expect(result.problems == [])
        #expect(result.passed.contains { $0.hasPrefix("272 tensors have the names") })
        #expect(result.passed.contains("all 8 531 872 values are finite"))
        #expect(result.notes.contains { $0.hasPrefix("no quire-model.json") })
    }

    @Test func `Files are compared with what was pulled`() async throws {
        let manifest = ModelManifest(
            endpoint: "https://hub.example", repository: "a/b", revision: "main",
            files: [
                .init(name: "quire.json", size: 114, sha256: String(repeating: "0", count: 64)),
                .init(name: "config.json", size: 1, sha256: String(repeating: "0", count: 64)),
                .init(name: "LICENSE", size: 1, sha256: String(repeating: "0", count: 64)),
            ])
        try manifest.write(to: directory)
        let result = await ModelVerification.run(directory, values: false)
        #expect(result.problems.count == 5)
        #expect(result.problems[0].contains("quire.json has the SHA-256"))
        #expect(result.problems[1].contains("config.json has 2062 bytes, expected 1."))
        #expect(result.problems[2].contains("LICENSE cannot be used: it cannot be read"))
        #expect(result.problems[3].contains("tokenizer.json is used, and quire-model.json does not list it"))
        #expect(result.problems[4].contains("model.safetensors is used, and quire-model.json does not list it"))
    }

    @Test func `A manifest that names files elsewhere is refused`() async throws {
        let manifest = ModelManifest(
            endpoint: "https://hub.example", repository: "a/b", revision: "main",
            files: [.init(name: "../../etc/passwd", size: 1, sha256: "")])
        try manifest.write(to: directory)
        let result = await ModelVerification.run(directory, values: false)
        #expect(result.problems.count == 1 && result.problems[0].contains("which is no file name"))
    }

    @Test func `Values that are infinite or no numbers are found and named`() async throws {
        let name = "model.norm.weight"
        try change("model.safetensors") { bytes in
            let length = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
            let header = try JSONValue(parsing: bytes[8..<8 + length])
            let offset = try #require(header[name]?["data_offsets"]?.elements?.first?.integer)
            // Elements 3 and 5 become infinity and a NaN of bfloat16.
            let start = 8 + length + offset
            bytes.replaceSubrange(start + 6..<start + 8, with: [0x80, 0x7F])
            bytes.replaceSubrange(start + 10..<start + 12, with: [0xC1, 0xFF])
        }
        let blind = await ModelVerification.run(directory, values: false)
        #expect(blind.problems == [])
        let result = await ModelVerification.run(directory, values: true)
        #expect(result.problems == ["\(name): 2 values are infinite or no numbers, the first is element 3"])
    }

    @Test func `All problems are listed, not only the first`() async throws {
        try change("model.safetensors") { $0.removeLast(1_000_000) }
        try change("tokenizer.json") { $0.removeLast(100) }
        try change("quire.json") { $0 = Array("{\"mode\": \"giant\"}".utf8) }
        let result = await ModelVerification.run(directory, values: true)
        #expect(result.problems.count >= 3)
        #expect(result.problems.contains { $0.contains("quire.json") && $0.contains("mode is none of") })
        #expect(result.problems.contains { $0.contains("tokenizer.json cannot be used") })
        #expect(result.problems.contains { $0.contains("model.safetensors") })
    }

    @Test func `A tokenizer of another model is found`() async throws {
        try change("tokenizer.json") { bytes in
            bytes = Array(String(decoding: bytes, as: UTF8.self).replacing("\"<image>\"", with: "\"<picture>\"").utf8)
        }
        let result = await ModelVerification.run(directory, values: false)
        #expect(result.problems.contains { $0.contains("belongs to another model") })
    }

    @Test func `The published model's parameters are counted by part`() {
        let count = ParameterCount(ModelConfiguration())
        #expect(count.sam == 89_670_912)
        #expect(count.compressor == 5_898_240)
        #expect(count.clip == 303_177_728)
        #expect(count.decoder == 2_934_734_080)
        #expect(count.total == 3_336_106_240)
        #expect(count.usedPerToken == 574_127_360)
    }

    @Test func `A description names files, types, sizes and defaults`() throws {
        let text = try ModelDescription(directory, digest: "d1").lines.joined(separator: "\n")
        #expect(text.contains("Digest       d1"))
        #expect(text.contains("model.safetensors: 272 tensors, 17.1 MB"))
        #expect(text.contains("BF16 8 531 872"))
        #expect(text.contains("Mode       tiny"))
        #expect(text.contains("1024 new tokens"))
        #expect(text.contains("2 of 8 experts"))
    }
}
