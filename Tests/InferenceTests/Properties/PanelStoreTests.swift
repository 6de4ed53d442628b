import Glibc
import Inference
import Parity
import SystemPackage
import TestSupport
import Testing

/// Packed weights in a file: whatever happens to it, the model answers as if there were none.
@Suite struct PanelStoreTests {
    private static let chunk = 64 << 10
    private static let options = GenerationOptions(maxNewTokens: 6)

    /// A folder with a golden checkpoint, to which a store may add its file.
    private struct Folder {
        let temporary: TemporaryDirectory
        var path: FilePath { temporary.path }

        init(_ name: String = "tiny-bf16") throws {
            temporary = try TemporaryDirectory()
            try use(name)
        }

        /// Puts another checkpoint's files in the place of those that are there.
        func use(_ name: String) throws {
            for file in ["config.json", "model.safetensors"] {
                let bytes = try MappedFile(Fixtures.golden.path.appending(name).appending(file)).bytes()
                try temporary.makeFile(file, bytes)
            }
        }

        var configuration: ModelConfiguration {
            get throws { try ModelConfiguration(contentsOf: path.appending("config.json")) }
        }

        var checkpoint: Checkpoint { get throws { try Checkpoint(directory: path, configuration: configuration) } }

        func store(_ precision: Precision) throws -> PanelStore {
            PanelStore(for: try checkpoint, precision: precision, leastCached: 0, chunk: PanelStoreTests.chunk)
        }

        func panels(_ precision: Precision) -> FilePath { path.appending("quire-panels-\(precision.rawValue).bin") }

        /// What lies beside the checkpoint's two files.
        func others() throws -> [String] {
            GoldenFolder(path).names().filter { $0 != "config.json" && $0 != "model.safetensors" }
        }

        func answer(_ precision: Precision, _ store: PanelStore?) throws -> [[Int32]] {
            let configuration = try configuration
            let model = try DeepSeekOCR(
                checkpoint: try checkpoint, configuration: configuration,
                backend: CPUBackend(threads: 2, precision: precision, store: store))
            return try GoldenBench.questions(configuration)[3...5].map { try model.answer($0, PanelStoreTests.options) }
        }
    }

    @Test(arguments: ["tiny-bf16", "odd-f32"], Precision.allCases)
    func `a second start maps what the first one packed, and answers the same`(
        name: String, precision: Precision
    ) throws {
        let folder = try Folder(name)
        let wanted = try folder.answer(precision, nil)
        let first = try folder.store(precision)
        #expect(!first.isReady)
        #expect(try folder.answer(precision, first) == wanted)
        #expect(try folder.others() == ["quire-panels-\(precision.rawValue).bin"])
        for _ in 0..<2 {
            let next = try folder.store(precision)
            #expect(next.isReady)
            #expect(try folder.answer(precision, next) == wanted)
        }
    }

    @Test func `small checkpoints get no file`() throws {
        let folder = try Folder()
        let store = PanelStore(for: try folder.checkpoint, precision: .int8)
        _ = try folder.answer(.int8, store)
        #expect(try folder.others().isEmpty && !store.isReady)
    }

    @Test func `a file made from another checkpoint is made anew`() throws {
        let folder = try Folder("tiny-bf16")
        _ = try folder.answer(.bfloat16, try folder.store(.bfloat16))
        #expect(try folder.store(.bfloat16).isReady)
        // The same bytes, written again: nothing but the time tells them apart.
        usleep(20_000)
        try folder.use("tiny-bf16")
        #expect(try !folder.store(.bfloat16).isReady)
        try folder.use("odd-f32")
        let store = try folder.store(.bfloat16)
        #expect(!store.isReady)
        let wanted = try folder.answer(.bfloat16, nil)
        #expect(try folder.answer(.bfloat16, store) == wanted)
        let next = try folder.store(.bfloat16)
        #expect(next.isReady)
        #expect(try folder.answer(.bfloat16, next) == wanted)
    }

    @Test func `a file made at another precision is made anew`() throws {
        let folder = try Folder()
        _ = try folder.answer(.bfloat16, try folder.store(.bfloat16))
        #expect(rename(folder.panels(.bfloat16).string, folder.panels(.int8).string) == 0)
        let store = try folder.store(.int8)
        #expect(!store.isReady)
        #expect(try folder.answer(.int8, store) == folder.answer(.int8, nil))
        #expect(try folder.store(.int8).isReady)
    }

    @Test func `a file that is cut off or damaged at its end is made anew`() throws {
        let folder = try Folder()
        let wanted = try folder.answer(.int8, try folder.store(.int8))
        let whole = try MappedFile(folder.panels(.int8)).bytes()
        let file = "quire-panels-int8.bin"
        for count in [0, 1, 31, 32, 33, 4096, whole.count / 2, whole.count - 4096, whole.count - 32, whole.count - 1] {
            try folder.temporary.makeFile(file, Array(whole[..<count]))
            #expect(try !folder.store(.int8).isReady, "\(count) bytes")
        }
        try folder.temporary.makeFile(file, whole + [0])
        #expect(try !folder.store(.int8).isReady)
        // Index, key and lengths: whatever is changed there is seen. What lies before them is not looked at.
        let tail = try #require(tailStart(of: whole))
        for place in Array(stride(from: tail, to: whole.count, by: 37)) + Array(whole.count - 200..<whole.count) {
            for bits: UInt8 in [0x01, 0x02, 0x80] {
                var damaged = whole
                damaged[place] ^= bits
                try folder.temporary.makeFile(file, damaged)
                #expect(try !folder.store(.int8).isReady, "byte \(place - tail) of the tail")
            }
        }
        // Numbers that are too large for anything, where an offset was.
        let line = try #require(whole[tail...].firstIndex(of: UInt8(ascii: " ")))
        for text in ["9223372036854775807", "-1", "99999999999999999999", "x"] {
            var damaged = whole
            damaged.replaceSubrange(line + 1..<line + 1 + text.utf8.count, with: Array(text.utf8))
            try folder.temporary.makeFile(file, damaged)
            #expect(try !folder.store(.int8).isReady, "\(text)")
        }
        #expect(try folder.answer(.int8, try folder.store(.int8)) == wanted)
        #expect(try folder.store(.int8).isReady)
        #expect(try folder.others() == [file])
    }

    /// Where the index begins: at the first weight's name after the last panel.
    private func tailStart(of bytes: [UInt8]) -> Int? {
        let name = Array("model.sam_model.patch_embed.proj.weight 0 ".utf8)
        return bytes.indices.dropLast(name.count).first { bytes[$0] == name[0] && bytes[$0...].starts(with: name) }
    }

    @Test func `where no file can be written the weights lie in memory`() throws {
        let folder = try Folder()
        let wanted = try folder.answer(.bfloat16, nil)
        for path in ["/proc/panels.bin", "/nowhere/panels.bin", folder.path.appending("config.json/panels.bin").string]
        {
            let store = PanelStore(cache: FilePath(path), key: "key", chunk: Self.chunk)
            #expect(!store.isReady)
            #expect(try folder.answer(.bfloat16, store) == wanted)
        }
        // A directory that only root could write to.
        let closed = try Folder()
        chmod(closed.path.string, 0o555)
        defer { chmod(closed.path.string, 0o755) }
        #expect(try closed.answer(.bfloat16, try closed.store(.bfloat16)) == wanted)
        #expect(try geteuid() == 0 || closed.others().isEmpty)
        // A directory stands where the file should.
        let blocked = try Folder()
        try blocked.temporary.makeFolder("quire-panels-bf16.bin")
        #expect(try blocked.answer(.bfloat16, try blocked.store(.bfloat16)) == wanted)
        #expect(try blocked.others() == ["quire-panels-bf16.bin"])
    }

    @Test func `a full disk is no error, and leaves nothing behind`() async {
        // In a process of its own: the limit of a file's size would hold for all tests.
        await #expect(processExitsWith: .success) {
            signal(SIGXFSZ, SIG_IGN)
            let folder = try Folder()
            let wanted = try folder.answer(.bfloat16, nil)
            _ = try folder.answer(.bfloat16, try folder.store(.bfloat16))
            let size = try MappedFile(folder.panels(.bfloat16)).count
            unlink(folder.panels(.bfloat16).string)
            var before = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &before)
            // Before the first part, after some, and just before the last bytes.
            for bytes in [0, PanelStoreTests.chunk, 10 * PanelStoreTests.chunk + 1, size - 100, size - 1] {
                let store = try folder.store(.bfloat16)
                var limit = before
                limit.rlim_cur = rlim_t(bytes)
                setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
                let found = try folder.answer(.bfloat16, store)
                setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &before)
                #expect(found == wanted && !store.isReady)
                #expect(try folder.others().isEmpty, "a limit of \(bytes) of \(size) bytes")
            }
        }
    }

    @Test func `two stores of one process do not disturb one another`() throws {
        let folder = try Folder()
        let wanted = try folder.answer(.float32, nil)
        let head = try folder.checkpoint.tensor("lm_head.weight")
        func work(_ first: PanelStore) throws {
            // The first is in the middle of its work when others begin, end and are let go.
            let backend = CPUBackend(threads: 1, store: first)
            let weight = try backend.weight(stacking: [head], isExact: false)
            let x = backend.upload(Array(repeating: 1, count: 64), rows: 1, columns: 64)
            let product = backend.download(backend.linear(x, weight, bias: nil))
            #expect(try !folder.store(.float32).isReady)
            #expect(try folder.answer(.float32, try folder.store(.float32)) == wanted)
            #expect(backend.download(backend.linear(x, weight, bias: nil)) == product)
            let more = try backend.weight(stacking: [head], isExact: true)
            #expect(backend.download(backend.linear(x, more, bias: nil)) == product)
        }
        try work(try folder.store(.float32))
        // It was given up, and nothing is left of it.
        #expect(try folder.others().isEmpty)
        #expect(try folder.answer(.float32, try folder.store(.float32)) == wanted)
        #expect(try folder.store(.float32).isReady)
        #expect(try folder.answer(.float32, try folder.store(.float32)) == wanted)
    }

    @Test func `what a killed start left behind is taken over`() throws {
        let folder = try Folder()
        try folder.temporary.makeFile("quire-panels-int8.bin.part", Array(repeating: 7, count: 5_000_000))
        #expect(try folder.answer(.int8, try folder.store(.int8)) == folder.answer(.int8, nil))
        #expect(try folder.others() == ["quire-panels-int8.bin"])
        #expect(try folder.store(.int8).isReady)
        // The file is as long as what it holds.
        #expect(try MappedFile(folder.panels(.int8)).count < 4_000_000)
    }

    @Test func `many starts at once all answer the same, and leave one file`() async throws {
        let folder = try Folder()
        let wanted = try folder.answer(.int8, nil)
        for _ in 0..<3 {
            unlink(folder.panels(.int8).string)
            let answers = try await withThrowingTaskGroup(of: [[Int32]].self) { group in
                for _ in 0..<4 { group.addTask { try folder.answer(.int8, try folder.store(.int8)) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(answers.count == 4 && answers.allSatisfy { $0 == wanted })
            #expect(try folder.store(.int8).isReady)
            #expect(try folder.others() == ["quire-panels-int8.bin"])
        }
    }

    @Test func `a start in another process does not disturb this one`() async throws {
        let folder = try Folder()
        let wanted = try folder.answer(.bfloat16, nil)
        let store = try folder.store(.bfloat16)
        let path = folder.path.string
        await #expect(processExitsWith: .success) { [path = path as String] in
            let directory = FilePath(path)
            let configuration = try ModelConfiguration(contentsOf: directory.appending("config.json"))
            let checkpoint = try Checkpoint(directory: directory, configuration: configuration)
            let store = PanelStore(for: checkpoint, precision: .bfloat16, leastCached: 0, chunk: 64 << 10)
            #expect(!store.isReady)
            _ = try DeepSeekOCR(
                checkpoint: checkpoint, configuration: configuration,
                backend: CPUBackend(threads: 1, precision: .bfloat16, store: store))
        }
        // The one that began first goes on writing, and the other one was content with memory.
        #expect(try folder.others() == ["quire-panels-bf16.bin.part"])
        #expect(try folder.answer(.bfloat16, store) == wanted)
        #expect(try folder.store(.bfloat16).isReady)
        #expect(try folder.others() == ["quire-panels-bf16.bin"])
    }
}
