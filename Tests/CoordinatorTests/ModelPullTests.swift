import Coordinator
import Digest
import Synchronization
import SystemPackage
import Testing

@Suite struct ModelPullTests {
    private let fixture = ModelRepositoryFixture()
    private let weights = ModelRepositoryFixture.weightsName
    private let size = ModelRepositoryFixture.weights.count

    @Test func `A pull takes what a model needs, checks it and writes down what it took`() async throws {
        let server = try ModelServer { [fixture] in fixture.answer($0) }
        let target = try PullTarget()
        let lines = Lines()
        let manifest = try await target.pull(from: server.url, lines: lines)

        #expect(target.names == ["README.md", "config.json", weights, "quire-model.json", "tokenizer.json"])
        for name in ["README.md", "config.json", "tokenizer.json", weights] {
            #expect(target.content(name) == fixture.files[name])
        }
        #expect(server.requests(for: "modeling.py").isEmpty)
        #expect(try ModelManifest.read(target.directory) == manifest)
        #expect(manifest.repository == "test/model" && manifest.revision == "main" && manifest.endpoint == server.url)
        #expect(
            manifest.files.first { $0.name == weights }
                == ModelManifest.File(
                    name: weights, size: Int64(size), sha256: SHA256.hash(ModelRepositoryFixture.weights).hex))
        #expect(
            manifest.files.first { $0.name == "config.json" }?.sha256
                == SHA256.hash(fixture.files["config.json"] ?? []).hex)
        #expect(lines.all.contains("\(weights): 3.00 MB, checked\n"))
        #expect(server.requests.allSatisfy { $0.headers["accept-encoding"] == "identity" })
    }

    @Test func `A second pull asks for the commit and the listing only`() async throws {
        let server = try ModelServer { [fixture] in fixture.answer($0) }
        let target = try PullTarget()
        try await target.pull(from: server.url)
        let before = server.requests.count
        try await target.pull(from: server.url)
        #expect(
            server.requests.dropFirst(before).map(\.path) == [
                "/api/models/test/model/revision/main", "/api/models/test/model/tree/\(fixture.commit)",
            ])
    }

    @Test func `A file that was damaged here is fetched again`() async throws {
        let server = try ModelServer { [fixture] in fixture.answer($0) }
        let target = try PullTarget()
        try await target.pull(from: server.url)
        try target.directory.appending("tokenizer.json").write(Array("{\"version\": \"1.1\"}\n".utf8))
        try await target.pull(from: server.url)
        #expect(target.content("tokenizer.json") == fixture.files["tokenizer.json"])
        #expect(server.requests(for: weights).count == 1)
    }

    @Test func `A broken connection goes on behind the bytes that arrived`() async throws {
        let cuts = Mutex([1_000_000, 500_000])
        let server = try ModelServer { [fixture, weights] request in
            var answer = fixture.answer(request)
            if request.path.hasSuffix(weights) {
                answer.cutAfter = cuts.withLock { $0.isEmpty ? nil : $0.removeFirst() }
            }
            return answer
        }
        let target = try PullTarget()
        let lines = Lines()
        try await target.pull(from: server.url, lines: lines)

        #expect(target.content(weights) == ModelRepositoryFixture.weights)
        #expect(server.requests(for: weights).map(\.range) == [nil, 1_000_000...size - 1, 1_500_000...size - 1])
        #expect(lines.all.contains("Trying again in"))
    }

    @Test func `A pull that was given up goes on when it is given again`() async throws {
        let breaking = Mutex(true)
        let server = try ModelServer { [fixture, weights] request in
            var answer = fixture.answer(request)
            // The first request brings a part, the following ones nothing new.
            if request.path.hasSuffix(weights), breaking.withLock({ $0 }) {
                answer.cutAfter = request.range == nil ? 1_200_000 : 0
            }
            return answer
        }
        let target = try PullTarget()
        await #expect {
            try await target.pull(from: server.url)
        } throws: { error in
            if case .broken(let url, _)? = error as? ModelStoreError {
                url.hasSuffix("/resolve/\(self.fixture.commit)/\(self.weights)")
            } else {
                false
            }
        }
        #expect(!target.names.contains(weights) && !target.names.contains("quire-model.json"))
        // Nothing that could pass for a model is there before all of it is.
        #expect(target.names.count == 4 && target.names.allSatisfy { $0.hasSuffix(".part") })

        breaking.withLock { $0 = false }
        let before = server.requests.count
        try await target.pull(from: server.url)
        #expect(target.content(weights) == ModelRepositoryFixture.weights)
        #expect(server.requests.dropFirst(before).map(\.path).count == 3)
        #expect(server.requests.last?.range == 1_200_000...size - 1)
        #expect(target.names == ["README.md", "config.json", weights, "quire-model.json", "tokenizer.json"])
    }

    @Test func `Large files are asked for in windows`() async throws {
        let server = try ModelServer { [fixture] in fixture.answer($0) }
        let target = try PullTarget()
        try await target.pull(from: server.url, window: 1 << 20)
        #expect(
            server.requests(for: weights).map(\.range) == [0...1_048_575, 1_048_576...2_097_151, 2_097_152...size - 1])
        #expect(target.content(weights) == ModelRepositoryFixture.weights)
    }

    @Test func `A server without ranges sends the file anew`() async throws {
        let cuts = Mutex([1_000_000, 2_000_000])
        let server = try ModelServer { [fixture, weights] request in
            var answer = fixture.answer(request, honouringRanges: false)
            if request.path.hasSuffix(weights) {
                answer.cutAfter = cuts.withLock { $0.isEmpty ? nil : $0.removeFirst() }
            }
            return answer
        }
        let target = try PullTarget()
        try await target.pull(from: server.url, window: 1 << 20)
        #expect(target.content(weights) == ModelRepositoryFixture.weights)
        #expect(server.requests(for: weights).count == 3)
    }

    @Test func `A server without ranges that always breaks is given up`() async throws {
        let server = try ModelServer { [fixture, weights] request in
            var answer = fixture.answer(request, honouringRanges: false)
            if request.path.hasSuffix(weights) { answer.cutAfter = 1_000_000 }
            return answer
        }
        let target = try PullTarget()
        await #expect(throws: ModelStoreError.self) { try await target.pull(from: server.url) }
        #expect((2...8).contains(server.requests(for: weights).count))
    }

    @Test(arguments: ["config.json", ModelRepositoryFixture.weightsName])
    func `Of a file that arrives damaged nothing is kept`(name: String) async throws {
        let server = try ModelServer { [fixture] request in
            var answer = fixture.answer(request)
            if request.path.hasSuffix(name) { answer.body[7] ^= 1 }
            return answer
        }
        let target = try PullTarget()
        await #expect {
            try await target.pull(from: server.url)
        } throws: { error in
            if case .wrongDigest(name, let url, _, _)? = error as? ModelStoreError {
                url.hasPrefix(server.url)
            } else {
                false
            }
        }
        #expect(!target.names.contains { $0.hasPrefix(name) })
        #expect(!target.names.contains("quire-model.json"))
    }

    @Test func `A server in trouble is asked again`() async throws {
        let troubles = Mutex([503, 503, 429])
        let server = try ModelServer { [fixture] request in
            let status = troubles.withLock { $0.isEmpty ? nil : $0.removeFirst() }
            return status.map { ModelServer.Answer(status: $0) } ?? fixture.answer(request)
        }
        let target = try PullTarget()
        let lines = Lines()
        try await target.pull(from: server.url, lines: lines)
        #expect(target.content(weights) == ModelRepositoryFixture.weights)
        #expect(lines.all.contains("was answered with HTTP status 503. Trying again in"))
    }

    @Test func `A missing repository is reported at once, with its address and status`() async throws {
        let server = try ModelServer { _ in ModelServer.Answer(status: 404) }
        let target = try PullTarget()
        let url = "\(server.url)/api/models/test/model/tree/main?recursive=false"
        let error = await #expect(throws: ModelStoreError.self) { try await target.pull(from: server.url) }
        #expect(error == .status(404, url: url, retrySeconds: nil))
        #expect(error?.description.contains(url) == true && error?.description.contains("404") == true)
        #expect(server.requests.map(\.path) == ["revision", "tree"].map { "/api/models/test/model/\($0)/main" })
    }

    @Test func `A server that does not listen is reported at once`() async throws {
        let target = try PullTarget()
        let error = await #expect(throws: ModelStoreError.self) { try await target.pull(from: "http://127.0.0.1:1") }
        #expect(error?.description.hasPrefix("No connection for http://127.0.0.1:1/api/") == true)
    }
}
