import Coordinator
import Shared
import Synchronization
import SystemPackage
import Testing

/// A branch moves; what was pulled of it does not move with it unasked.
@Suite struct ModelRevisionTests {
    private static let first = String(repeating: "01234567", count: 5)
    private static let second = String(repeating: "89abcdef", count: 5)
    private let weights = ModelRepositoryFixture.weightsName

    /// A repository whose branch can be moved from the first commit to the second, which has another configuration.
    private final class MovingBranch: Sendable {
        let hasMoved = Mutex(false)
        /// Move as soon as this has been asked for.
        let trigger: String?

        init(trigger: String? = nil) { self.trigger = trigger }

        func answer(_ request: ModelServer.Request) -> ModelServer.Answer {
            var fixture = ModelRepositoryFixture()
            fixture.commit = hasMoved.withLock { $0 } ? ModelRevisionTests.second : ModelRevisionTests.first
            let revision = request.path.split(separator: "/").first { $0 == "main" || $0.count == 40 }
            if revision.map(String.init) == ModelRevisionTests.second
                || (revision == "main" && hasMoved.withLock { $0 })
            {
                fixture.files["config.json"] = Array("{\"model_type\": \"moved\"}\n".utf8)
                fixture.blobs["config.json"] = nil
            }
            let answer = fixture.answer(request)
            if let trigger, request.path.contains(trigger) { hasMoved.withLock { $0 = true } }
            return answer
        }
    }

    private func server(_ branch: MovingBranch) throws -> ModelServer { try ModelServer { branch.answer($0) } }

    @Test(arguments: ["/revision/", "/tree/", "/README.md"])
    func `All files are of one commit, whenever the branch moves, and it is written down`(trigger: String) async throws
    {
        let server = try server(MovingBranch(trigger: trigger))
        let target = try PullTarget()
        let manifest = try await target.pull(from: server.url)
        #expect(manifest.commit == Self.first && manifest.revision == "main")
        #expect(try ModelManifest.read(target.directory) == manifest)
        #expect(target.content("config.json") == ModelRepositoryFixture().files["config.json"])
        let files = server.requests.filter { $0.path.contains("/resolve/") }
        #expect(files.count == 4 && files.allSatisfy { $0.path.contains("/resolve/\(Self.first)/") })
    }

    @Test func `A pull keeps the commit that is there, says that the branch has moved, and changes when told`()
        async throws
    {
        let branch = MovingBranch()
        let server = try server(branch)
        let target = try PullTarget()
        try await target.pull(from: server.url)
        branch.hasMoved.withLock { $0 = true }

        let lines = Lines()
        let kept = try await target.pull(from: server.url, lines: lines)
        #expect(kept.commit == Self.first)
        #expect(target.content("config.json") == ModelRepositoryFixture().files["config.json"])
        #expect(lines.all.contains("main is commit \(Self.second) now. The directory holds commit \(Self.first)"))
        #expect(lines.all.contains("--update"))

        let updated = try await target.pull(from: server.url, isUpdating: true)
        #expect(updated.commit == Self.second)
        #expect(target.content("config.json") == Array("{\"model_type\": \"moved\"}\n".utf8))
        #expect(server.requests(for: weights).count == 1)
    }

    @Test func `A commit is fetched as it is given, wherever the branch is`() async throws {
        let branch = MovingBranch()
        branch.hasMoved.withLock { $0 = true }
        let server = try server(branch)
        let target = try PullTarget()
        let manifest = try await target.pull(from: server.url, revision: Self.first)
        #expect(manifest.commit == Self.first && manifest.revision == Self.first)
        #expect(target.content("config.json") == ModelRepositoryFixture().files["config.json"])
        #expect(!server.requests.contains { $0.path.contains("/revision/") })

        let lines = Lines()
        let other = try await target.pull(from: server.url, revision: Self.second, lines: lines)
        #expect(other.commit == Self.second)
        #expect(lines.all.contains("The directory held commit \(Self.first); it will hold commit \(Self.second)."))
    }

    @Test func `A server that tells no commits is said to, and cannot move a model that has one`() async throws {
        let fixture = ModelRepositoryFixture()
        let isPlain = Mutex(true)
        let server = try ModelServer { request in
            isPlain.withLock { $0 } && request.path.contains("/revision/")
                ? ModelServer.Answer(status: 404) : fixture.answer(request)
        }
        let target = try PullTarget()
        let lines = Lines()
        let manifest = try await target.pull(from: server.url, lines: lines)
        #expect(manifest.commit == nil)
        #expect(lines.all.contains("does not say which commit main is"))
        isPlain.withLock { $0 = false }
        #expect(try await target.pull(from: server.url).commit == fixture.commit)
        isPlain.withLock { $0 = true }
        let error = await #expect(throws: ModelStoreError.self) { try await target.pull(from: server.url) }
        #expect(error?.description.contains("--revision \(fixture.commit)") == true)
    }

    @Test func `Verification says of which commit files are, and that they are of another`() async throws {
        let server = try server(MovingBranch())
        let target = try PullTarget()
        try await target.pull(from: server.url)
        let right = await ModelVerification.run(target.directory, values: false, commit: Self.first)
        #expect(right.passed.contains("4 files have the SHA-256 of test/model (main, commit \(Self.first))"))
        #expect(!right.problems.contains { $0.contains("commit") })
        let wrong = await ModelVerification.run(target.directory, values: false, commit: Self.second)
        #expect(wrong.problems.contains("The files are of commit \(Self.first), expected commit \(Self.second)."))
    }
}
