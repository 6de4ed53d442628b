import CUDAShim
import Inference
import Parity
import SystemPackage
import Testing

/// The engine on the shim's GPU.
@Suite struct CUDAEngineTests {
    private static let directory = Fixtures.golden.path.appending("tiny-bf16")

    private func engine(memory: Int? = nil) throws -> OCREngine {
        try OCREngine(
            directory: Self.directory, options: EngineOptions(device: .cuda(0), threads: 1, memory: memory),
            driver: .shim())
    }

    private func request(_ engine: OCREngine, _ number: Int) -> RecognitionRequest {
        RecognitionRequest(
            mode: .tiny, prompt: "<image>\nFree OCR.", maxNewTokens: 6 + number,
            rule: .image(exempt: engine.exemptTokens))
    }

    private func pages(_ count: Int) -> [RGBImage] {
        var random = FixedRandom(seed: 82)
        return (0..<count).map { random.image(width: 40 + 9 * $0, height: 60 - 3 * $0) }
    }

    private func readAll(_ pages: [RGBImage], on engine: OCREngine) async throws -> [[Int32]] {
        try await withThrowingTaskGroup(of: (Int, [Int32]).self) { group in
            for (number, page) in pages.enumerated() {
                let request = request(engine, number)
                group.addTask { (number, try await engine.recognise(page, request: request).tokens) }
            }
            var found = Array(repeating: [Int32](), count: pages.count)
            for try await (number, tokens) in group { found[number] = tokens }
            return found
        }
    }

    @Test func `pages at once are read like one by one`() async throws {
        let engine = try engine()
        let pages = pages(3)
        var alone: [[Int32]] = []
        for (number, page) in pages.enumerated() {
            alone.append(try await engine.recognise(page, request: request(engine, number)).tokens)
        }
        #expect(Set(alone).count > 1)
        #expect(try await readAll(pages, on: engine) == alone)
    }

    @Test func `the plan follows the memory that is free`() throws {
        let configuration = try ModelConfiguration(contentsOf: Self.directory.appending("config.json"))
        let page = MemoryPlan.tokensOfPage * configuration.cacheBytes(.bfloat16)
        #expect(try engine(memory: 8 * page).plan.pages == 6)
        #expect(try engine(memory: 0).plan.pages == 1)
    }

    @Test func `memory that runs out lowers the batch, and all pages are read`() async throws {
        let pages = pages(3)
        let free = try engine()
        let wanted = try await readAll(pages, on: free)
        let engine = try engine(memory: 64 << 20)
        let device = try #require(quire_shim_current())
        // What is taken now is enough for the weights and the cache; nearly nothing is left to compute in.
        let taken = quire_shim_taken(device)
        quire_shim_limit(device, taken + (3 << 20))
        #expect(try await readAll(pages, on: engine) == wanted)
        #expect(quire_shim_taken(device) < taken)
    }
}
