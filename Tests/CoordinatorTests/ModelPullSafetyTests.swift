import Coordinator
import SystemPackage
import Testing

@Suite struct ModelPullSafetyTests {
    private let fixture = ModelRepositoryFixture()

    @Test(arguments: [
        "../evil.safetensors", "/etc/cron.d/evil.safetensors", "a/../../evil.safetensors", "..", ".", "", "a//b",
        #"a\u0000.safetensors"#, #"a\nb.safetensors"#, #"..\\evil.safetensors"#,
    ])
    func `A listing with a hostile name is refused whole`(name: String) async throws {
        let entry = #"{"type":"file","path":"\#(name)","size":3,"oid":"6c2096e21ae474a475c870cd7c637f657f5628f0"}"#
        let server = try ModelServer { [fixture] request in
            request.path.contains("/tree/")
                ? ModelServer.Answer(body: fixture.listing(extra: [entry])) : fixture.answer(request)
        }
        let target = try PullTarget()
        await #expect {
            try await target.pull(from: server.url)
        } throws: { error in
            if case .badAnswer(_, let reason)? = error as? ModelStoreError {
                reason.contains("which is no file name")
            } else {
                false
            }
        }
        #expect(server.requests.count == 2, "the commit and the listing")
        #expect(target.names.isEmpty)
    }

    @Test func `Files in folders are passed over`() async throws {
        let entry =
            #"{"type":"file","path":"figures/a.safetensors","size":3,"oid":"6c2096e21ae474a475c870cd7c637f657f5628f0"}"#
        let server = try ModelServer { [fixture] request in
            request.path.contains("/tree/")
                ? ModelServer.Answer(body: fixture.listing(extra: [entry])) : fixture.answer(request)
        }
        let target = try PullTarget()
        let manifest = try await target.pull(from: server.url)
        #expect(manifest.files.count == 4)
    }

    @Test(arguments: [
        "not JSON", "{}", "[]", #"[{"type":"file"}]"#, #"[{"type":"file","path":"config.json","size":-1}]"#,
    ])
    func `An answer that lists no model is refused`(text: String) async throws {
        let server = try ModelServer { _ in ModelServer.Answer(body: Array(text.utf8)) }
        let target = try PullTarget()
        await #expect(throws: ModelStoreError.self) { try await target.pull(from: server.url) }
        #expect(server.requests.count == 1)
    }

    @Test func `An index that names files that are not listed is reported before the weights are fetched`() async throws
    {
        var fixture = fixture
        let weights = ModelRepositoryFixture.weightsName
        fixture.files["model.safetensors.index.json"] = Array(
            #"{"weight_map":{"a":"\#(weights)","b":"model-00002.safetensors"}}"#.utf8)
        let server = try ModelServer { [fixture] in fixture.answer($0) }
        let target = try PullTarget()
        let error = await #expect(throws: ModelStoreError.self) { try await target.pull(from: server.url) }
        #expect(error?.description.contains("names model-00002.safetensors, which is not listed") == true)
        #expect(server.requests(for: weights).isEmpty)

        fixture.files["model-00002.safetensors"] = [1, 2, 3]
        let whole = try ModelServer { [fixture] in fixture.answer($0) }
        let manifest = try await target.pull(from: whole.url)
        #expect(manifest.files.count == 6)
    }

    @Test func `The token goes to the endpoint and not to where it redirects`() async throws {
        let store = try ModelServer { [fixture] in fixture.answer($0) }
        let endpoint = try ModelServer { [fixture, url = store.url] request in
            guard request.path.hasSuffix(".safetensors") else { return fixture.answer(request) }
            return ModelServer.Answer(
                status: 302,
                headers: ["Location": "\(url)/blobs/\(ModelRepositoryFixture.weightsName)?signature=a%2Fb"],
                body: Array("Found".utf8))
        }
        let target = try PullTarget()
        try await target.pull(from: endpoint.url, token: "hf_secret", window: 2_000_000)

        #expect(target.content(ModelRepositoryFixture.weightsName) == ModelRepositoryFixture.weights)
        #expect(!endpoint.requests.isEmpty)
        #expect(endpoint.requests.allSatisfy { $0.headers["authorization"] == "Bearer hf_secret" })
        #expect(store.requests.map(\.range) == [0...1_999_999, 2_000_000...2_999_999])
        #expect(store.requests.allSatisfy { $0.headers["authorization"] == nil })
        #expect(store.requests.allSatisfy { $0.target.hasSuffix("?signature=a%2Fb") })
    }

    @Test func `Redirections without end are given up`() async throws {
        let server = try ModelServer { request in
            ModelServer.Answer(status: 302, headers: ["Location": request.target])
        }
        let target = try PullTarget()
        let error = await #expect(throws: ModelStoreError.self) { try await target.pull(from: server.url) }
        #expect(error?.description.contains("redirected without end") == true)
    }

    @Test func `A redirection from HTTPS to HTTP is not followed`() throws {
        #expect(throws: ModelStoreError.self) {
            try ModelRepository.redirection(from: "https://a.example/x", to: "http://a.example/x")
        }
        #expect(
            try ModelRepository.redirection(from: "https://a.example/x/y", to: "/z?q=1") == "https://a.example/z?q=1")
    }

    @Test func `The token is for the endpoint's scheme, host and port only`() throws {
        let repository = try ModelRepository(endpoint: "https://hub.example/", name: "a/b", revision: "main")
        #expect(repository.mayReceiveToken("https://hub.example/a/b/resolve/main/c"))
        #expect(repository.mayReceiveToken("https://HUB.example:443/c"))
        for url in [
            "http://hub.example/c", "https://hub.example:8443/c", "https://hub.example.org/c", "https://x@evil/c",
        ] {
            #expect(!repository.mayReceiveToken(url))
        }
    }

    @Test func `More bytes than announced are refused`() async throws {
        let server = try ModelServer { [fixture] request in
            var answer = fixture.answer(request)
            if request.path.hasSuffix("config.json") {
                answer.headers["Content-Length"] = ""
                answer.body += Array(repeating: 0x20, count: 1 << 20)
            }
            return answer
        }
        let target = try PullTarget()
        await #expect(throws: ModelStoreError.self) { try await target.pull(from: server.url) }
        #expect(target.content("config.json") == nil)
    }

    @Test func `A part of the file that was not asked for is refused`() async throws {
        let server = try ModelServer { [fixture] request in
            var answer = fixture.answer(request)
            if let range = answer.headers["Content-Range"] {
                answer.headers["Content-Range"] = range.replacing("bytes 0-", with: "bytes 1-")
            }
            return answer
        }
        let target = try PullTarget()
        await #expect {
            try await target.pull(from: server.url, window: 1 << 20)
        } throws: { error in
            if case .badAnswer(_, let reason)? = error as? ModelStoreError {
                reason.contains("another part")
            } else {
                false
            }
        }
    }

    @Test func `A disk that is too small is reported before anything is fetched`() async throws {
        let digest = String(repeating: "0", count: 64)
        let entry =
            #"{"type":"file","path":"z.safetensors","size":9,"lfs":{"oid":"\#(digest)","size":4000000000000000}}"#
        let server = try ModelServer { [fixture] request in
            request.path.contains("/tree/")
                ? ModelServer.Answer(body: fixture.listing(extra: [entry])) : fixture.answer(request)
        }
        let target = try PullTarget()
        await #expect {
            try await target.pull(from: server.url)
        } throws: { error in
            if case .noSpace(_, let needed, let free)? = error as? ModelStoreError { needed > free } else { false }
        }
        #expect(server.requests.count == 2, "the commit and the listing")
    }

    @Test(arguments: ["DeepSeek-OCR", "a/b/c", "../b", "a/", "a b/c", "a/b?x"])
    func `A repository that is not an owner and a name is refused`(name: String) {
        #expect(throws: ModelStoreError.self) {
            try ModelRepository(endpoint: "https://hub.example", name: name, revision: "main")
        }
    }

    @Test(arguments: [
        "hub.example", "ftp://hub.example", "https://user:secret@hub.example", "https://hub.example/?a=b", "",
    ])
    func `An endpoint that is not a plain address is refused, and no password is repeated`(endpoint: String) {
        let error = #expect(throws: ModelStoreError.self) {
            try ModelRepository(endpoint: endpoint, name: "a/b", revision: "main")
        }
        #expect(error?.description.contains("secret") == false)
    }
}
