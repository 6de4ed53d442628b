import FoundationEssentials
import Inference
import Testing

@Suite struct LayoutTests {
    private static let title = "<|ref|>title<|/ref|><|det|>[[100, 53, 520, 98]]<|/det|>\n# Harbour notes\n\n"
    private static let picture = "<|ref|>image<|/ref|><|det|>[[0, 0, 500, 500], [500, 500, 999, 999]]<|/det|>\n"
    private static let end = "<｜end▁of▁sentence｜>"

    private struct Block: Decodable {
        let label: String
        let boxes: [[Int]]
        let text: String
    }

    private static func blocks(_ layout: PageLayout) throws -> [Block] {
        try JSONDecoder().decode([Block].self, from: Data(layout.layoutJSON.utf8))
    }

    @Test func `blocks hold label, boxes in pixels and the text that follows`() throws {
        let layout = PageLayout(text: Self.title + Self.picture + "Fig. 1" + Self.end, width: 999, height: 1998)
        let blocks = try Self.blocks(layout)
        #expect(blocks.map(\.label) == ["title", "image"])
        #expect(blocks[0].boxes == [[100, 106, 520, 196]])
        #expect(blocks[0].text == "# Harbour notes")
        #expect(blocks[1].text == "Fig. 1")
    }

    @Test func `every box of a picture has its own link`() {
        let layout = PageLayout(text: Self.title + Self.picture + Self.picture, width: 100, height: 100)
        let markdown = layout.markdown { "p1-\($0).jpg" }
        #expect(layout.figures.count == 4)
        #expect(
            markdown == """
                # Harbour notes

                ![](images/p1-0.jpg)
                ![](images/p1-1.jpg)

                ![](images/p1-2.jpg)
                ![](images/p1-3.jpg)
                """)
    }

    @Test func `a box with nothing in it has neither link nor figure`() {
        let text = "<|ref|>image<|/ref|><|det|>[[500, 10, 400, 20], [1, 1, 1, 9], [10, 10, 20, 20]]<|/det|>"
        let layout = PageLayout(text: text, width: 2000, height: 2000)
        #expect(layout.figures == [PageBox(x1: 20, y1: 20, x2: 40, y2: 40)])
        #expect(layout.markdown { "\($0)" } == "![](images/0)")
    }

    @Test func `a reference without boxes stays as text and swallows nothing`() throws {
        let text = "<|ref|>lost<|/ref|> A paragraph. <|ref|>text<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>more"
        let layout = PageLayout(text: text, width: 500, height: 500)
        #expect(layout.markdown { _ in "" } == "<|ref|>lost<|/ref|> A paragraph. more")
        #expect(try Self.blocks(layout).map(\.label) == ["text", "text"])
        #expect(OfficialMarkdown.image(text) == "more")
    }

    @Test func `text without references is one block without boxes`() throws {
        let layout = PageLayout(text: "  plain \\coloneqq\u{0} text\n\n\n\nend " + Self.end, width: 10, height: 10)
        #expect(layout.markdown { _ in "" } == "plain := text\n\nend")
        let blocks = try Self.blocks(layout)
        #expect(blocks.count == 1 && blocks[0].boxes.isEmpty)
    }

    @Test func `a page without text has no blocks`() {
        let layout = PageLayout(text: " \n" + Self.end, width: 10, height: 10)
        #expect(layout.blocks.isEmpty)
        #expect(layout.layoutJSON == "[]")
        #expect(layout.markdown { _ in "" } == "")
    }

    @Test func `text is escaped in the layout's JSON`() throws {
        let text = "quote \" back \\ tab \t line \n bell \u{7} é \u{2028} 🙂"
        let layout = PageLayout(text: "<|ref|>a\"b<|/ref|><|det|>[]<|/det|>" + text, width: 10, height: 10)
        let block = try #require(Self.blocks(layout).first)
        #expect(block.label == "a\"b")
        #expect(Array(block.text.utf8) == Array(text.utf8))
    }

    @Test(arguments: [
        ("[[1, 2, 3, 4]]", [[1, 2, 3, 4]]), ("[[1,2,3,4],]", [[1, 2, 3, 4]]), ("[(1, 2, 3, 4,)]", [[1, 2, 3, 4]]),
        (" [ [ 1.5 , .5, 5., -2e1 ] ] ", [[1.5, 0.5, 5, -20]]),
        ("[1, 2, 3, 4],[5, 6, 7, 8]", [[1, 2, 3, 4], [5, 6, 7, 8]]),
        ("[[1, 2, 3, 4], [5, 6, 7, 8]]", [[1, 2, 3, 4], [5, 6, 7, 8]]), ("([1, 2, 3, 4], [5, 6])", [[1, 2, 3, 4]]),
        ("[[1, 2, 3, 4]], [[5]]", []), ("[1, 2, 3, 4], [5]", [[1, 2, 3, 4]]), ("[[1, 2, 3, 4], None]", [[1, 2, 3, 4]]),
        ("[[1, 2, 3, 4], 'a' \"b\"]", [[1, 2, 3, 4]]),
        ("[[1, 2, 3, True]]", []), ("[[1, 2, 3, +4_0]] # note", [[1, 2, 3, 40]]), ("[1, 2, 3, 4]", []),
        ("nonsense", []), ("", []),
        ("[[1, 2, 3, 04]]", []), ("[[1, 2, 3, 4]", []), ("[[1, 2, 3, 4]]]", []), ("[[1 2 3 4]]", []),
        ("[[1,, 2, 3, 4]]", []),
        ("[[1, 2, 3, 4__0]]", []), ("[[1, 2, 3, 1+1]]", []), ("[[1, 2, 3, --4]]", []), ("__import__('os')", []),
        ("[[1, 2, 3, int('4')]]", []), ("[[1, 2, 3, 0x10]]", []), ("[[1, 2, 3, nan]]", []), ("[[1, 2, 3, '4]]", []),
        ("[[1,2,3,٤]]", []),
        ("{1, 2}", []), ("[[1, 2, 3, 4]] [[1, 2, 3, 4]]", []), ("[[1, 2,\n3, 4]]", [[1, 2, 3, 4]]),
        ("(((([[1, 2, 3, 4]]))))", [[1, 2, 3, 4]]),
    ])
    func `boxes are read as Python writes them and never evaluated`(source: String, expected: [[Double]]) throws {
        let region = try #require(LayoutRegion.regions(in: "<|ref|>a<|/ref|><|det|>\(source)<|/det|>").first)
        #expect(region.boxes.map { [$0.x1, $0.y1, $0.x2, $0.y2] } == expected)
    }

    @Test(arguments: [
        "[[9e999, -9e999, 1e308, 1e308]]", "[[\(String(repeating: "9", count: 4000)), 0, 0, 0]]",
        "[[\(String(repeating: "9", count: 5000)), 0, 0, 0]]", "[[-5, -5, 99999999999999999999, 1e19]]",
        "[[1e-400, 0.0, 9.99e2, 1_0e1_0]]",
        String(repeating: "[", count: 100_000), String(repeating: "[", count: 199) + String(repeating: "]", count: 199),
        String(repeating: "(", count: 100_000), String(repeating: "-", count: 100_000),
        "[[" + String(repeating: "1,", count: 100_000) + "]]",
        String(repeating: "[1,2,3,4],", count: 20_000), "[[1,2,3,4]] #" + String(repeating: "#", count: 100_000),
        String(repeating: "'", count: 100_001), "[[\u{0}]]", "[[1, 2, 3, 4\\", "'\\", "\"\"\"\\",
    ])
    func `hostile boxes stay on the page`(source: String) throws {
        let text = "<|ref|>image<|/ref|><|det|>\(source)<|/det|>after"
        let layout = PageLayout(text: text, width: 1654, height: 2339)
        for box in layout.blocks.flatMap(\.boxes) {
            #expect((0...1654).contains(box.x1) && (0...1654).contains(box.x2))
            #expect((0...2339).contains(box.y1) && (0...2339).contains(box.y2))
        }
        let links = layout.markdown { "\($0).jpg" }.split(separator: "![](", omittingEmptySubsequences: false).count - 1
        #expect(links == layout.figures.count)
        #expect(layout.markdown { _ in "" }.hasSuffix("after"))
        _ = try Self.blocks(layout)
        _ = OfficialMarkdown.crops(text, width: .max / 4, height: 1)
    }

    @Test(arguments: [
        "<|ref|>", "<|ref|>a<|/ref|>", "<|ref|><|/ref|><|det|>", "<|/ref|><|det|><|/det|>", "<", "<|", "\n", "\\[",
        "\\quad(", "\\[\\quad(", "[",
    ])
    func `long hostile texts are read in time that grows with their length`(piece: String) throws {
        let text = String(repeating: piece, count: 400_000 / piece.utf8.count)
        let layout = PageLayout(text: text, width: 100, height: 100)
        #expect(layout.figures.isEmpty)
        #expect(try Self.blocks(layout).count <= 1)
        #expect(OfficialMarkdown.image(text) == OfficialMarkdown.withoutEnd(text))
        _ = OfficialMarkdown.evaluation(text)
    }

    @Test func `random mixtures of markers never disagree about figures`() throws {
        let pieces = [
            "<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>", "image", "text", "[[1, 2, 300, 400]]", "[[5,6,7", "\n\n\n",
            "é", "e\u{301}", "\u{0}", "]]",
            Self.picture, Self.title, Self.end, "\\coloneqq", "<center>", "\\[x \\quad (1)\\]",
        ]
        var random = FixedRandom(seed: 3)
        for _ in 0..<2000 {
            let text = (0..<Int.random(in: 0...12, using: &random)).compactMap { _ in
                pieces.randomElement(using: &random)
            }.joined()
            let layout = PageLayout(text: text, width: 640, height: 480)
            let markdown = layout.markdown { "figure\($0)." }
            #expect(
                markdown.split(separator: "![](images/figure", omittingEmptySubsequences: false).count - 1
                    == layout.figures.count)
            #expect(try Self.blocks(layout).count == layout.blocks.count)
        }
    }
}
