import Coordinator
import Digest
import Shared
import SystemPackage
import TestSupport

/// A repository as Hugging Face shows it, made up for tests.
struct ModelRepositoryFixture: Sendable {
    static let weightsName = "model-00001-of-000001.safetensors"

    /// Contents by name.
    var files: [String: [UInt8]] = [
        "config.json": Array("{\"model_type\": \"test\"}\n".utf8),
        "tokenizer.json": Array("{\"version\": \"1.0\"}\n".utf8),
        "README.md": Array("A model for tests.\n".utf8),
        "modeling.py": Array("import os\n".utf8),
        weightsName: weights,
    ]
    /// What `git hash-object` says of the small files.
    var blobs = [
        "config.json": "6c2096e21ae474a475c870cd7c637f657f5628f0",
        "tokenizer.json": "92bdb0aff34a95a7c00546c3d608c984294164ed",
        "README.md": "9fc12964d7f04e1456bcee2028e3549bf8e4a945",
    ]

    /// What the branch `main` is.
    var commit = String(repeating: "c0ffee42", count: 5)

    /// 3 MB that do not repeat.
    static let weights: [UInt8] = {
        var state: UInt64 = 42
        return (0..<3_000_000).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 56)
        }
    }()

    /// The listing; names given twice or oddly are the test's affair.
    func listing(extra: [String] = []) -> [UInt8] {
        var entries = files.sorted { $0.key < $1.key }.map { name, content in
            if let blob = blobs[name] {
                return #"{"type":"file","path":"\#(name)","size":\#(content.count),"oid":"\#(blob)"}"#
            }
            let digest = SHA256.hash(content).hex
            return #"{"type":"file","path":"\#(name)","size":\#(content.count),"oid":"0000","#
                + #""lfs":{"oid":"\#(digest)","size":\#(content.count),"pointerSize":134}}"#
        }
        entries.append(#"{"type":"directory","path":"assets","size":0,"oid":"0000"}"#)
        return Array("[\((entries + extra).joined(separator: ","))]".utf8)
    }

    /// What a faultless server answers.
    func answer(_ request: ModelServer.Request, honouringRanges: Bool = true) -> ModelServer.Answer {
        if request.path == "/api/models/test/model/revision/main" {
            return ModelServer.Answer(body: Array(#"{"id":"test/model","sha":"\#(commit)","private":false}"#.utf8))
        }
        if request.path.hasPrefix("/api/models/test/model/tree/") { return ModelServer.Answer(body: listing()) }
        guard let name = request.path.split(separator: "/").last.map(String.init), let content = files[name] else {
            return ModelServer.Answer(status: 404)
        }
        guard honouringRanges, let range = request.range, range.upperBound < content.count else {
            return ModelServer.Answer(body: content)
        }
        let header = "bytes \(range.lowerBound)-\(range.upperBound)/\(content.count)"
        return ModelServer.Answer(status: 206, headers: ["Content-Range": header], body: Array(content[range]))
    }
}

/// The place that a test pulls into.
final class PullTarget: Sendable {
    private let temporary: TemporaryDirectory
    var directory: FilePath { temporary.path.appending("models").appending("test") }

    init() throws { temporary = try TemporaryDirectory() }

    /// Pulls from a server with short pauses between attempts.
    @discardableResult
    func pull(
        from endpoint: String, revision: String = "main", isUpdating: Bool = false, token: String? = nil,
        window: Int64 = 128 << 20, lines: Lines = Lines()
    ) async throws -> ModelManifest {
        let puller = ModelPuller(
            repository: try ModelRepository(endpoint: endpoint, name: "test/model", revision: revision),
            directory: directory, token: token, output: lines.output, isUpdating: isUpdating,
            firstPause: 0.01, window: window)
        return try await puller.pull()
    }

    /// The file names in the directory, sorted.
    var names: [String] {
        directory.fileNames.sorted()
    }

    func content(_ name: String) -> [UInt8]? { directory.appending(name).content }
}
