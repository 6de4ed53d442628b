import Coordinator
import Glibc
import Inference
import Shared
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// A model directory goes from one commit to another: as a whole, or not at all.
@Suite struct ModelChangeTests {
    private static let first = String(repeating: "01234567", count: 5)
    private static let second = String(repeating: "89abcdef", count: 5)
    private static let index = "model.safetensors.index.json"
    private static let shard = "model-00001-of-00001.safetensors"
    private static let whole = "model.safetensors"

    /// The small checkpoint in two commits: at first in a shard with an index, then in one file, with another tokenizer.
    private final class Repository: Sendable {
        private let commits: [String: ModelRepositoryFixture]
        let hasMoved = Mutex(false)
        /// Whether weights may be fetched.
        let isOpen = Mutex(true)

        /// With `isSmall` the weights are a few bytes that no engine reads.
        init(isSmall: Bool = false) throws {
            let nano = FilePath.package().appending("models/quire-nano")
            var old = ModelRepositoryFixture()
            old.commit = ModelChangeTests.first
            old.blobs = [:]
            old.files = [:]
            for name in ["config.json", "tokenizer.json"] {
                old.files[name] = try #require(nano.appending(name).content)
            }
            var new = old
            new.commit = ModelChangeTests.second
            var weights = Array("weights".utf8)
            var names = ["a"]
            if !isSmall {
                weights = try #require(nano.appending(ModelChangeTests.whole).content)
                let length = weights.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
                names = try #require(try JSONValue(parsing: weights[8..<8 + length]).members).map(\.key)
            }
            let map = names.filter { $0 != "__metadata__" }.map { "\"\($0)\": \"\(ModelChangeTests.shard)\"" }
            old.files[ModelChangeTests.index] = Array("{\"weight_map\": {\(map.joined(separator: ", "))}}".utf8)
            old.files[ModelChangeTests.shard] = weights
            new.files[ModelChangeTests.whole] = weights
            new.files["tokenizer.json"]? += Array("\n".utf8)
            commits = [ModelChangeTests.first: old, ModelChangeTests.second: new]
        }

        func files(_ commit: String) -> [String: [UInt8]] { commits[commit]?.files ?? [:] }

        func serve() throws -> ModelServer {
            try ModelServer { request in
                let named = request.path.split(separator: "/").first { $0.count == 40 }.map(String.init)
                let current = self.hasMoved.withLock { $0 } ? ModelChangeTests.second : ModelChangeTests.first
                guard self.isOpen.withLock({ $0 }) || !request.path.hasSuffix(".safetensors") else {
                    return ModelServer.Answer(status: 403)
                }
                return self.commits[named ?? current]?.answer(request) ?? ModelServer.Answer(status: 404)
            }
        }
    }

    private func digest(_ target: PullTarget) async throws -> String {
        try await ModelDigest.compute(
            directory: target.directory, cacheDirectory: target.directory.removingLastComponent().appending("cache"))
    }

    private func expect(_ target: PullTarget, holds commit: String, of repository: Repository) async throws {
        let files = repository.files(commit)
        #expect(target.names == (files.keys + ["quire-model.json"]).sorted())
        for (name, content) in files { #expect(target.content(name) == content, "\(name)") }
        let verification = await ModelVerification.run(target.directory, values: false, commit: commit)
        #expect(verification.problems == [])
    }

    @Test func `An update leaves nothing of the former commit that a loader would read`() async throws {
        let repository = try Repository()
        let server = try repository.serve()
        let target = try PullTarget()
        try await target.pull(from: server.url)
        try await expect(target, holds: Self.first, of: repository)
        try target.directory.appending("quire.json").write(Array("{\"mode\": \"tiny\"}".utf8))
        repository.hasMoved.withLock { $0 = true }

        let lines = Lines()
        try await target.pull(from: server.url, isUpdating: true, lines: lines)
        #expect(lines.all.contains("\(Self.index): removed") && lines.all.contains("\(Self.shard): removed"))
        #expect(target.content("quire.json") == Array("{\"mode\": \"tiny\"}".utf8), "that is the user's own")
        _ = target.directory.appending("quire.json").withPlatformString { unlink($0) }
        try await expect(target, holds: Self.second, of: repository)
        let text = try ModelDescription(target.directory, digest: "d").lines.joined(separator: "\n")
        #expect(text.contains("  \(Self.whole): 272 tensors"))
        // And back, as a pinned commit.
        try await target.pull(from: server.url, revision: Self.first)
        try await expect(target, holds: Self.first, of: repository)
    }

    @Test func `An update that cannot be ended leaves the model as it was, and goes on later`() async throws {
        let repository = try Repository()
        let server = try repository.serve()
        let target = try PullTarget()
        try await target.pull(from: server.url)
        let before = try await digest(target)
        repository.hasMoved.withLock { $0 = true }
        repository.isOpen.withLock { $0 = false }
        await #expect(throws: ModelStoreError.self) { try await target.pull(from: server.url, isUpdating: true) }
        for (name, content) in repository.files(Self.first) { #expect(target.content(name) == content, "\(name)") }
        #expect(try await digest(target) == before)
        #expect(await ModelVerification.run(target.directory, values: false, commit: Self.first).problems == [])

        repository.isOpen.withLock { $0 = true }
        // One that does not update takes nothing away from what has arrived.
        try await target.pull(from: server.url)
        let count = server.requests(for: "tokenizer.json").count
        try await target.pull(from: server.url, isUpdating: true)
        #expect(server.requests(for: "tokenizer.json").count == count, "it waited beside its place")
        try await expect(target, holds: Self.second, of: repository)
    }

    /// A folder stands in the way of the weights' name: all that is smaller has its name already.
    private func cutOff() async throws -> (Repository, ModelServer, PullTarget, obstacle: FilePath) {
        let repository = try Repository()
        let server = try repository.serve()
        let target = try PullTarget()
        try await target.pull(from: server.url)
        repository.hasMoved.withLock { $0 = true }
        let obstacle = target.directory.appending(Self.whole)
        obstacle.makeDirectory()
        try obstacle.appending("x").write([])
        await #expect(throws: ModelStoreError.self) { try await target.pull(from: server.url, isUpdating: true) }
        return (repository, server, target, obstacle)
    }

    @Test func `A change that was cut off in the middle is taken by no loader, and the next pull ends it`() async throws
    {
        let (repository, server, target, obstacle) = try await cutOff()
        #expect(target.content("tokenizer.json") == repository.files(Self.second)["tokenizer.json"])
        #expect(target.names.contains(ModelManifest.unfinishedName))

        await #expect(throws: ModelDigestError.unfinished(target.directory)) { try await digest(target) }
        let configuration = try ModelConfiguration(contentsOf: target.directory.appending("config.json"))
        #expect(throws: InferenceError.unfinishedModel(target.directory)) {
            try Checkpoint(directory: target.directory, configuration: configuration)
        }
        let scans = target.directory.removingLastComponent().appending("scans")
        scans.makeDirectory()
        let (model, out) = (target.directory.string, scans.removingLastComponent().appending("out").string)
        for (program, arguments) in [
            ("quire", ["model", "info", model]), ("quire", ["model", "verify", model]),
            ("quire", ["submit", scans.string, "--model", model]),
            ("quire", ["run", scans.string, "--out", out, "--model", model]), ("quire-worker", ["--model", model]),
        ] {
            let outcome = try await RunningProgram.run(
                RunningProgram.product(program), arguments,
                environment: [
                    "DATABASE_URL": "host=/nonexistent", "QUIRE_CONFIG": nil, "XDG_CONFIG_HOME": "/nonexistent",
                ])
            #expect(outcome.status == 5, "\(arguments): \(outcome.errors)")
            #expect((outcome.output + outcome.errors).contains("`quire model pull` again"), "\(arguments)")
        }

        _ = obstacle.appending("x").withPlatformString { unlink($0) }
        _ = obstacle.withPlatformString { rmdir($0) }
        let count = server.requests.count
        // Without --update: what was begun is ended.
        try await target.pull(from: server.url)
        #expect(server.requests.count == count + 2, "the commit and the listing; all files have arrived")
        try await expect(target, holds: Self.second, of: repository)
    }

    @Test func `An update that is cut off anywhere leaves one model or the other, or what no loader takes`()
        async throws
    {
        let repository = try Repository(isSmall: true)
        let server = try repository.serve()
        let target = try PullTarget()
        try await target.pull(from: server.url)
        repository.hasMoved.withLock { $0 = true }
        let cut = try PowerCut(watching: target.directory.removingLastComponent())
        let update = { (after: Int?) in
            try await RunningProgram.run(
                RunningProgram.product("quire"),
                [
                    "model", "pull", "test/model", "--endpoint", server.url, "--out", target.directory.string,
                    "--update",
                ],
                environment: cut.environment(after: after).merging([
                    "QUIRE_CONFIG": nil, "XDG_CONFIG_HOME": "/nonexistent",
                ]) { $1 })
        }
        let caches = try TemporaryDirectory()
        let digest = { (number: Int) in
            try await ModelDigest.compute(
                directory: target.directory, cacheDirectory: caches.path.appending("\(number)"))
        }
        let former = try await digest(-2)
        let whole = try await update(nil)
        #expect(whole.status == 0, "\(whole.errors)")
        let expected = try PowerCut.tree(cut.root)
        let latter = try await digest(-1)
        let count = cut.operations().count
        #expect(count > 10 && former != latter)
        let puller = ModelPuller(
            repository: try ModelRepository(endpoint: server.url, name: "test/model", revision: "main"),
            directory: target.directory, token: nil, output: Lines().output, isUpdating: true, firstPause: 0.01)
        var refused = 0
        for after in 0..<count {
            for (number, loss) in [PowerCut.Loss.none, .some(seed: UInt64(after)), .zeros].enumerated() {
                try cut.reset()
                #expect(try await update(after).status == 137)
                try cut.lose(loss)
                do {
                    let found = try await digest(after * 3 + number)
                    #expect(found == former || found == latter, "\(loss) at \(after)")
                    let commit = found == former ? Self.first : Self.second
                    #expect(try ModelManifest.read(target.directory)?.commit == commit, "\(loss) at \(after)")
                } catch let error as ModelDigestError {
                    #expect(error == .unfinished(target.directory), "\(loss) at \(after)")
                    refused += 1
                }
                // A part that the disk lost bytes of is told by its digest and deleted, one each time.
                for _ in 0..<3 where (try? await puller.pull()) == nil {}
                try await puller.pull()
                let found = try PowerCut.tree(cut.root)
                let differences = Set(found.keys).union(expected.keys).filter { found[$0] != expected[$0] }
                #expect(differences == [], "\(loss) at \(after)")
            }
        }
        #expect(refused > 3)
    }

    @Test func `While a first pull is not ended no other model is taken in its stead`() async throws {
        let data = try TemporaryDirectory()
        var pulled = data.path.appending("models")
        pulled.makeDirectory()
        pulled.append("DeepSeek-OCR")
        pulled.makeDirectory()
        let quire = { (arguments: [String]) in
            try await RunningProgram.run(
                RunningProgram.product("quire"), arguments,
                environment: [
                    "DATABASE_URL": "host=/nonexistent", "QUIRE_DATA": data.path.string, "QUIRE_MODEL": nil,
                    "QUIRE_CONFIG": nil,
                    "XDG_CONFIG_HOME": "/nonexistent",
                ])
        }
        let small = try await quire(["model", "info"])
        #expect(small.status == 0 && small.output.contains("quire-nano"), "\(small.errors)")
        try pulled.appending("config.json.0123456789ab.part").write([1])
        let begun = try await quire(["submit", data.path.string])
        #expect(begun.status == 5)
        #expect(begun.errors.contains("\(pulled)/config.json"), "\(begun.errors)")
        #expect(begun.errors.contains("fetch the model again with `quire model pull`"), "\(begun.errors)")
    }

    @Test func `A mark that was torn is no obstacle`() async throws {
        let (repository, server, target, obstacle) = try await cutOff()
        _ = obstacle.appending("x").withPlatformString { unlink($0) }
        _ = obstacle.withPlatformString { rmdir($0) }
        try target.directory.appending(ModelManifest.unfinishedName).write(Array("{".utf8))
        try await target.pull(from: server.url)
        try await expect(target, holds: Self.first, of: repository)
    }

    @Test func `Weights that nobody pulled are named, and an index of them is set aside`() async throws {
        let repository = try Repository()
        let server = try repository.serve()
        repository.hasMoved.withLock { $0 = true }
        let target = try PullTarget()
        try await target.pull(from: server.url)
        // As an update of an earlier version of Quire left them.
        for name in [Self.index, Self.shard] {
            try target.directory.appending(name).write(try #require(repository.files(Self.first)[name]))
        }
        let verification = await ModelVerification.run(target.directory, values: false, commit: Self.second)
        #expect(
            verification.problems
                == [Self.index, Self.shard].map {
                    "\(target.directory.appending($0)) is used, and quire-model.json does not list it: it was not pulled "
                        + "with the others."
                })
        let lines = Lines()
        try await target.pull(from: server.url, lines: lines)
        #expect(lines.all.contains("renamed to \(Self.index).aside"))
        #expect(await ModelVerification.run(target.directory, values: false, commit: Self.second).problems == [])
        #expect(target.content("\(Self.index).aside") == repository.files(Self.first)[Self.index])
    }
}
