import Inference
import Parity
import SystemPackage
import Testing

@Suite struct ParityTests {
    @Test func `pixels, grids, tokens and text are exactly the reference's`() async {
        let images = await GoldenImages(Fixtures.golden)
        var lines: [ParityLine] = []
        ParitySuite(Fixtures.golden, threads: 2).runExact(images: images) { lines.append($0) }
        for line in lines where line.outcome == .failed { Issue.record("\(line)") }
        let passed = lines.filter { $0.outcome == .passed }.map(\.name)
        #expect(passed.count { $0.hasPrefix("preprocess ") } == 15)
        for name in ["resize", "grid", "token counts", "ngram", "layout"] { #expect(passed.contains(name)) }
        #expect(passed.count { $0.hasPrefix("tokenizer.cases.json") } == 3)
    }

    @Test func `a directory without cases is an error`() async {
        let suite = ParitySuite(GoldenFolder("/nowhere"), threads: 1)
        let images = await GoldenImages(suite.folder)
        #expect(throws: ParityError.self) { try suite.run(images: images) { _ in } }
    }
}
