import Digest
import Shared
import SystemPackage
import TestSupport
import Testing

@Suite struct ModelDigestTests {
    private let files: TemporaryDirectory

    init() throws { files = try TemporaryDirectory() }

    private func write(_ text: String, to name: String) throws {
        let file = try FileDescriptor.open(
            files.path.appending(name), .writeOnly, options: [.create, .truncate], permissions: [.ownerReadWrite])
        try file.closeAfter { _ = try file.writeAll(text.utf8) }
    }

    private func compute() async throws -> String {
        try await ModelDigest.compute(directory: files.path, cacheDirectory: files.path.appending("cache"))
    }

    private func expected(_ contents: [String: String]) -> String {
        let lines = contents.map { name, text in "\(SHA256.hash(Array(text.utf8)).hex)  \(name)\n" }
        return SHA256.hash(Array(lines.sorted().joined().utf8)).hex
    }

    @Test func `a model in one file`() async throws {
        let contents = ["config.json": "{}", "tokenizer.json": "[]", "model.safetensors": "weights"]
        for (name, text) in contents { try write(text, to: name) }
        try write("not part of it", to: "README.md")
        #expect(try await compute() == expected(contents))
    }

    @Test func `a model in shards counts those that its index names`() async throws {
        let index =
            #"{"metadata": {}, "weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors", "c": "m-1.safetensors"}}"#
        let contents = [
            "config.json": "{}", "tokenizer.json": "[]", "model.safetensors.index.json": index, "m-1.safetensors": "1",
            "m-2.safetensors": "2",
        ]
        for (name, text) in contents { try write(text, to: name) }
        try write("stray", to: "model.safetensors")
        #expect(try await compute() == expected(contents))
    }

    @Test func `a file is hashed once, and again when it has changed`() async throws {
        for (name, text) in ["config.json": "{}", "tokenizer.json": "[]", "model.safetensors": "one"] {
            try write(text, to: name)
        }
        let first = try await compute()
        // The cache is trusted: with a forged entry the digest changes although no file has.
        let cache = files.path.appending("cache/digests")
        let file = try FileDescriptor.open(cache, .readWrite)
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = try bytes.withUnsafeMutableBytes { try file.read(into: $0) }
        let lines = String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: "\n")
        #expect(lines.count == 3)
        let forged = lines.map { String(repeating: "0", count: 64) + $0.dropFirst(64) }.joined(separator: "\n")
        try file.seek(offset: 0, from: .start)
        try file.closeAfter { _ = try file.writeAll(forged.utf8) }
        #expect(try await compute() != first)
        try write("other", to: "model.safetensors")
        try write("{ }", to: "config.json")
        try write("[ ]", to: "tokenizer.json")
        #expect(
            try await compute()
                == expected(["config.json": "{ }", "tokenizer.json": "[ ]", "model.safetensors": "other"]))
    }

    @Test func `what is missing or leads astray is named`() async throws {
        try write("{}", to: "config.json")
        let missing = await #expect(throws: ModelDigestError.self) { try await compute() }
        #expect(missing?.description.contains("tokenizer.json") == true)
        try write(#"{"weight_map": {"a": "../../etc/passwd"}}"#, to: "model.safetensors.index.json")
        let astray = await #expect(throws: ModelDigestError.self) { try await compute() }
        #expect(astray?.description.contains("../../etc/passwd") == true)
        try write("nothing", to: "model.safetensors.index.json")
        let broken = await #expect(throws: ModelDigestError.self) { try await compute() }
        #expect(broken?.description.contains("no index of weights") == true)
    }
}
