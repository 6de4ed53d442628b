import Inference
import Parity
import Synchronization
import SystemPackage
import Testing

/// Many pages at once through one engine.
@Suite struct OCREngineTests {
    private static let directory = Fixtures.golden.path.appending("tiny-bf16")

    /// An engine that decodes so many pages together.
    private func engine(_ precision: Precision = .bfloat16, threads: Int = 2, pages: Int = 64) throws -> OCREngine {
        let configuration = try ModelConfiguration(contentsOf: Self.directory.appending("config.json"))
        let fixed = configuration.weightBytes(precision) + configuration.activationBytes
        let page = MemoryPlan.tokensOfPage * configuration.cacheBytes(precision) + MemoryPlan.pageBytes
        let engine = try OCREngine(
            directory: Self.directory,
            options: EngineOptions(threads: threads, precision: precision, memory: fixed + pages * page + page / 2))
        #expect(engine.plan.pages == pages)
        return engine
    }

    private func request(_ engine: OCREngine, _ number: Int) -> RecognitionRequest {
        let prompts = [
            "<image>\nFree OCR.", "<image>\n<|grounding|>Convert the document to markdown.", "say <image> more",
        ]
        return RecognitionRequest(
            mode: number % 4 == 3 ? .small : .tiny, prompt: prompts[number % 3], maxNewTokens: 20 + 7 * number,
            rule: .image(exempt: engine.exemptTokens))
    }

    private func pages(_ count: Int) -> [RGBImage] {
        var random = FixedRandom(seed: 81)
        return (0..<count).map { random.image(width: 40 + 9 * $0, height: 60 - 3 * $0) }
    }

    private struct Answer: Equatable {
        let text: String
        let tokens: [Int32]
        let reachedEnd: Bool
        let counts: [Int]

        init(_ recognition: Recognition) {
            (text, tokens, reachedEnd) = (recognition.rawText, recognition.tokens, recognition.reachedEnd)
            counts = [recognition.promptTokens, recognition.imageTokens]
        }
    }

    @Test(arguments: [(Precision.float32, 1, 64), (.bfloat16, 2, 3), (.int8, 2, 1), (.bfloat16, 2, 64)])
    func `many pages at once are read like one by one`(precision: Precision, threads: Int, together: Int) async throws {
        let engine = try engine(precision, threads: threads, pages: together)
        let pages = pages(8)
        var alone: [Answer] = []
        for (number, page) in pages.enumerated() {
            alone.append(Answer(try await engine.recognise(page, request: request(engine, number))))
        }
        #expect(Set(alone.map(\.tokens)).count > 1)
        let atOnce = try await withThrowingTaskGroup(of: (Int, Answer).self) { group in
            for (number, page) in pages.enumerated() {
                let request = request(engine, number)
                group.addTask { (number, Answer(try await engine.recognise(page, request: request))) }
            }
            return try await group.reduce(into: [Int: Answer]()) { $0[$1.0] = $1.1 }
        }
        for (number, answer) in alone.enumerated() { #expect(atOnce[number] == answer, "page \(number)") }
    }

    @Test func `times are shared out, and all that was asked for is told`() async throws {
        let engine = try engine()
        let page = pages(1)[0]
        let found = try await engine.recognise(page, request: request(engine, 0))
        #expect(found.imageTokens == 73 && found.promptTokens > 73)
        #expect(found.tokens.count <= 20 && found.reachedEnd == (found.tokens.last == 1))
        #expect(found.encodeSeconds > 0 && found.prefillSeconds > 0 && found.decodeSeconds >= 0)
        var none = request(engine, 0)
        none.maxNewTokens = 0
        #expect(try await engine.recognise(page, request: none).tokens.isEmpty)
    }

    @Test(arguments: [1, 3, 64])
    func `a page that fails or is given up leaves the others alone`(together: Int) async throws {
        let engine = try engine(pages: together)
        let pages = pages(9)
        var alone: [Int: Answer] = [:]
        for number in [0, 2, 4, 6, 8] {
            alone[number] = Answer(try await engine.recognise(pages[number], request: request(engine, number)))
        }
        let asked = Mutex(0)
        let results = await withTaskGroup(of: (Int, Result<Answer, InferenceError>).self) { group in
            for (number, page) in pages.enumerated() {
                var request = request(engine, number)
                let isCancelled: @Sendable () -> Bool
                switch number {
                // Before it begins, and in the middle: encoding asks seven times, then every layer or step asks.
                case 1: isCancelled = { true }
                case 3:
                    isCancelled = {
                        asked.withLock { count in
                            count += 1
                            return count > 12
                        }
                    }
                case 5:
                    request.prompt = "no picture"
                    isCancelled = { false }
                case 7:
                    request.prompt = "<image>" + String(repeating: " word", count: 9000)
                    isCancelled = { false }
                default: isCancelled = { false }
                }
                group.addTask { [request] in
                    do throws(InferenceError) {
                        let found = try await engine.recognise(page, request: request, isCancelled: isCancelled)
                        return (number, .success(Answer(found)))
                    } catch {
                        return (number, .failure(error))
                    }
                }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        for number in [1, 3] {
            #expect(throws: InferenceError.cancelled) { try results[number]?.get() }
        }
        for number in [5, 7] {
            let error = #expect(throws: InferenceError.self) { try results[number]?.get() }
            #expect(error?.description.hasPrefix("The prompt has ") == true)
        }
        for (number, answer) in alone { #expect(try results[number]?.get() == answer, "page \(number)") }
        // And the engine goes on.
        #expect(Answer(try await engine.recognise(pages[4], request: request(engine, 4))) == alone[4])
    }

    @Test func `an engine may be let go while nobody asks, and several may be there at once`() async throws {
        let pages = pages(2)
        var answers: [Answer] = []
        for _ in 0..<3 {
            let (first, second) = (try engine(threads: 3), try engine(threads: 2))
            async let a = first.recognise(pages[0], request: request(first, 0))
            async let b = second.recognise(pages[0], request: request(second, 0))
            answers += [Answer(try await a), Answer(try await b)]
        }
        #expect(answers.allSatisfy { $0 == answers[0] })
    }

    @Test func `capacity follows the plan, and the plan the memory`() throws {
        for pages in [1, 2, 7, 64] {
            let engine = try engine(pages: pages)
            #expect(engine.capacity == pages + 2)
        }
        let least = try OCREngine(directory: Self.directory, options: EngineOptions(threads: 1, memory: 0))
        #expect(least.plan.pages == 1 && least.capacity == 3)
        #expect(least.plan.tokens >= least.configuration.decoder.maxPositions)
    }
}

/// How memory is divided: nothing here depends on the machine.
@Suite struct MemoryPlanTests {
    /// The released model's numbers: a token's keys and values in bfloat16, and weights of int8.
    private static let configuration = ModelConfiguration()
    private static let context = configuration.decoder.maxPositions

    private func plan(_ gigabytes: Double, _ precision: Precision) -> MemoryPlan {
        MemoryPlan(
            memory: Int(gigabytes * 0x1p30),
            fixed: Self.configuration.weightBytes(precision) + Self.configuration.activationBytes,
            tokenBytes: Self.configuration.cacheBytes(precision), context: Self.context)
    }

    @Test func `a token's keys and values cost what their precision says`() {
        // 12 layers, keys and values, 10 heads of 128.
        #expect(Self.configuration.cacheBytes(.float32) == 12 * 2 * 1280 * 4)
        #expect(Self.configuration.cacheBytes(.bfloat16) == 12 * 2 * 1280 * 2)
        #expect(Self.configuration.cacheBytes(.int8) == Self.configuration.cacheBytes(.bfloat16))
        let weights = Precision.allCases.map { Self.configuration.weightBytes($0) }
        #expect(weights[0] == 2 * weights[1] && weights[1] == 2 * weights[2] && weights[2] > 3_000_000_000)
    }

    @Test(arguments: Precision.allCases)
    func `there is always one page, and never more than are of use`(precision: Precision) {
        for gigabytes in [0, 0.5, 2, 4, 6, 8, 12, 16, 24, 32, 64, 128, 1024, 100_000] {
            let plan = plan(gigabytes, precision)
            #expect((1...MemoryPlan.mostPages).contains(plan.pages))
            // One page of the greatest length always fits; more than the pages can hold is not asked for.
            #expect(plan.tokens >= Self.context && plan.tokens <= plan.pages * Self.context)
        }
        #expect(plan(0, precision).pages == 1 && plan(0, precision).tokens == Self.context)
        #expect(plan(1024, precision).pages == MemoryPlan.mostPages)
        #expect(plan(1024, precision).tokens == MemoryPlan.mostPages * Self.context)
    }

    @Test(arguments: Precision.allCases)
    func `more memory is never worse, and what is planned fits`(precision: Precision) {
        var before = plan(0, precision)
        for step in 1...400 {
            let gigabytes = Double(step) / 8
            let plan = plan(gigabytes, precision)
            #expect(plan.pages >= before.pages && plan.tokens >= before.tokens)
            before = plan
            let fixed = Self.configuration.weightBytes(precision) + Self.configuration.activationBytes
            let used =
                fixed + plan.tokens * Self.configuration.cacheBytes(precision) + plan.pages * MemoryPlan.pageBytes
            // Below that there is the one page that there always is.
            if plan.pages > 1, plan.tokens > Self.context { #expect(used <= Int(gigabytes * 0x1p30)) }
        }
    }

    @Test func `machines of common sizes decode this many pages together`() {
        let int8 = [4, 8, 12, 16, 24, 32].map { plan($0, .int8).pages }
        #expect(int8 == int8.sorted() && int8[1] > 8 && int8[5] == 64)
        #expect(plan(8, .bfloat16).pages < plan(8, .int8).pages)
        #expect(plan(16, .float32).pages < plan(16, .bfloat16).pages)
        #expect(MemoryPlan.free > 0)
    }

    @Test func `a short context needs no more than it holds`() {
        let plan = MemoryPlan(memory: 10 << 30, fixed: 0, tokenBytes: 1000, context: 64)
        #expect(plan.pages == 64 && plan.tokens == 64 * 64)
        let least = MemoryPlan(memory: 5, fixed: 10, tokenBytes: 1000, context: 64)
        #expect(least.pages == 1 && least.tokens == 64)
    }
}
