import Inference
import Parity
import SystemPackage
import TestSupport
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

    @Test func `stages and generations agree with the reference in every mode`() async {
        let images = await GoldenImages(Fixtures.golden)
        var lines: [ParityLine] = []
        ParitySuite(Fixtures.golden, threads: 2).runModels(images: images) { lines.append($0) }
        for line in lines where line.outcome != .passed { Issue.record("\(line)") }
        #expect(lines.count { $0.name.hasPrefix("stages-") } == 6)
        #expect(lines.contains { $0.name == "stages-odd.safetensors on odd-f32" })
        #expect(lines.count { $0.name.hasPrefix("generate ") && $0.name.hasSuffix(" on tiny-bf16") } == 13)
        #expect(lines.count { $0.name.hasPrefix("generate ") && $0.name.hasSuffix(" on tiny-sharded") } == 13)
    }

    @Test(arguments: [
        (
            "ngram.json",
            #"[{"rule": {"size": 2, "window": null, "exempt": [], "over_prompt": true}, "ids": [1, 2, 1], "banned": [3]}]"#
        ),
        ("token_counts.json", #"[{"base": 1024, "tile": 640, "grid": [1, 1], "tokens": 272}]"#),
        ("grid.json", #"[{"width": 1000, "height": 1000, "gundam_9": [3, 2], "gundam_6": [2, 2]}]"#),
        ("ngram.json", "[7]"), ("layout.json", ""), ("resize.safetensors", "\u{7f}"), ("stages-x.safetensors", "x"),
    ])
    func `a wrong or damaged file fails its case`(name: String, text: String) async throws {
        let folder = try TemporaryDirectory()
        _ = try folder.write(Array(text.utf8), as: name)
        if name.hasPrefix("stages-") {
            try folder.makeFolder("odd-f32")
            for file in ["config.json", "model.safetensors"] {
                try folder.link(
                    "odd-f32/\(file)", to: Fixtures.golden.path.appending("odd-f32").appending(file).string)
            }
        }
        let suite = ParitySuite(GoldenFolder(folder.path), threads: 1)
        let images = await GoldenImages(suite.folder)
        var lines: [ParityLine] = []
        try suite.run(images: images) { lines.append($0) }
        #expect(lines.count { $0.outcome == .failed } == 1)
        #expect(lines.count { $0.outcome == .passed } == 0)
        #expect(lines.contains { $0.outcome == .skipped && $0.name == "preprocess.json" })
    }

    @Test(arguments: [
        [], [1, 2, 3], [255, 255, 255, 255, 255, 255, 255, 255], [2, 0, 0, 0, 0, 0, 0, 0, 123, 125, 0],
        [0, 0, 0, 0, 0, 0, 0, 128, 123, 125],
    ])
    func `bytes that are no tensor file never trap`(bytes: [UInt8]) {
        let tensors = try? TensorFile(bytes: bytes).tensors
        #expect(tensors?.isEmpty ?? true)
    }

    @Test(arguments: [
        #"{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}"#,
        #"{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 400]}}"#,
        #"{"a": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}"#,
        #"{"a": {"dtype": "F32", "shape": [2147483647, 2147483647, 2147483647], "data_offsets": [0, 4]}}"#,
        #"{"a": {"dtype": "F8", "shape": [4], "data_offsets": [0, 4]}}"#, #"{"a": 7}"#, "[]",
    ])
    func `a tensor file whose header lies is refused`(header: String) {
        let length = (0..<8).map { UInt8(truncatingIfNeeded: header.utf8.count >> (8 * $0)) }
        #expect(throws: ParityError.self) { try TensorFile(bytes: length + Array(header.utf8) + [0, 0, 128, 63]) }
    }

    @Test func `a directory without cases is an error`() async {
        let suite = ParitySuite(GoldenFolder("/nowhere"), threads: 1)
        let images = await GoldenImages(suite.folder)
        #expect(throws: ParityError.self) { try suite.run(images: images) { _ in } }
    }
}
