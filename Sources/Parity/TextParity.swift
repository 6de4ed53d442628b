import Inference

/// The n-gram rule of a case, as the fixtures write it.
struct GoldenRule: Decodable {
    let size: Int
    let window: Int?
    let exempt: [Int32]
    let overPrompt: Bool

    enum CodingKeys: String, CodingKey {
        case size, window, exempt
        case overPrompt = "over_prompt"
    }

    var rule: NgramRule { NgramRule(size: size, window: window, exempt: Set(exempt), overPrompt: overPrompt) }
}

/// A region as the fixtures write it.
struct GoldenRegion: Decodable {
    let source: String?
    let label: String
    let isImage: Bool?
    let boxes: [[Double]]
    let pixels: [[Int]]

    enum CodingKeys: String, CodingKey {
        case source, label, boxes, pixels
        case isImage = "is_image"
    }

    func equals(_ region: LayoutRegion, width: Int, height: Int) -> Bool {
        let pixels = region.boxes.map { $0.pixels(width: width, height: height) }
        return isSame(label, region.label) && (source.map { isSame($0, region.source) } ?? true)
            && (isImage.map { $0 == region.isImage } ?? true)
            && boxes == region.boxes.map { [$0.x1, $0.y1, $0.x2, $0.y2] }
            && self.pixels == pixels.map { [$0.x1, $0.y1, $0.x2, $0.y2] }
    }
}

/// A crop as the fixtures write it: `[number, [x1, y1, x2, y2]]`.
struct GoldenCrop: Decodable, Equatable {
    let number: Int
    let box: [Int]

    init(from decoder: any Decoder) throws {
        var values = try decoder.unkeyedContainer()
        number = try values.decode(Int.self)
        box = try values.decode([Int].self)
    }

    init(_ crop: (number: Int, box: PageBox)) {
        number = crop.number
        box = [crop.box.x1, crop.box.y1, crop.box.x2, crop.box.y2]
    }
}

/// Whether two texts have the same code points; `==` would take canonically equal ones for the same.
func isSame(_ one: String, _ other: String) -> Bool { one.utf8.elementsEqual(other.utf8) }

/// Everything that is text: `ngram.json`, `layout.json`, `tokenizer.*.json`.
struct TextParity {
    let folder: GoldenFolder

    private struct NgramCase: Decodable {
        let rule: GoldenRule
        let ids: [Int32]
        let banned: [Int32]
    }

    /// What each rule bans after each history.
    func ngrams() throws(ParityError) -> [ParityLine] {
        let cases: [NgramCase] = try folder.json("ngram.json")
        var comparison = Comparison()
        for (index, item) in cases.enumerated() {
            let banned = item.rule.rule.banned(item.ids)
            comparison.expect(
                banned == Set(item.banned), "case \(index): bans \(banned.sorted()), expected \(item.banned)")
        }
        return [comparison.line("ngram", "\(cases.count) banned sets equal")]
    }

    private struct Layouts: Decodable {
        struct Page: Decodable {
            let text: String
            let width: Int
            let height: Int
            let markdown: String
            let evaluation: String
            let regions: [GoldenRegion]
            let crops: [GoldenCrop]

            enum CodingKeys: String, CodingKey {
                case text, width, height, markdown, regions, crops
                case evaluation = "eval_markdown"
            }
        }

        struct Book: Decodable {
            let pages: [String]
            let markdown: String
        }

        let pages: [Page]
        let pdf: [Book]
    }

    /// Regions, boxes, pixels, crops and the three cleanings.
    func layouts() throws(ParityError) -> [ParityLine] {
        let layouts: Layouts = try folder.json("layout.json")
        var comparison = Comparison()
        for (index, page) in layouts.pages.enumerated() {
            let text = OfficialMarkdown.withoutEnd(page.text)
            let regions = LayoutRegion.regions(in: text)
            comparison.expect(
                isSame(OfficialMarkdown.image(page.text), page.markdown), "page \(index): the Markdown differs")
            comparison.expect(
                isSame(OfficialMarkdown.evaluation(page.text), page.evaluation),
                "page \(index): the benchmark's Markdown differs")
            comparison.expect(
                regions.count == page.regions.count,
                "page \(index): \(regions.count) regions, expected \(page.regions.count)")
            for (number, (region, expected)) in zip(regions, page.regions).enumerated() {
                comparison.expect(
                    expected.equals(region, width: page.width, height: page.height),
                    "page \(index): region \(number) (\(expected.label.debugDescription)) differs")
            }
            comparison.expect(
                OfficialMarkdown.crops(text, width: page.width, height: page.height).map(GoldenCrop.init) == page.crops,
                "page \(index): the crops differ")
        }
        for (index, book) in layouts.pdf.enumerated() {
            comparison.expect(
                isSame(OfficialMarkdown.pdf(book.pages), book.markdown), "PDF \(index): the Markdown differs")
        }
        return [
            comparison.line(
                "layout",
                "\(layouts.pages.count) pages and \(layouts.pdf.count) PDFs: regions, boxes, crops and Markdown equal")
        ]
    }

    private struct TokenizerCases: Decodable {
        struct Encoded: Decodable {
            let text: String
            let ids: [Int32]
            let decoded: String
        }

        struct Decoded: Decodable {
            let ids: [Int32]
            let decoded: String
        }

        let encode: [Encoded]
        let decode: [Decoded]
    }

    /// Text to ids and back, with the tokenizer of `path`.
    func tokens(_ file: String, tokenizer: Tokenizer, name: String) throws(ParityError) -> ParityLine {
        let cases: TokenizerCases = try folder.json(file)
        var comparison = Comparison()
        for item in cases.encode {
            let ids = tokenizer.encode(item.text)
            comparison.expect(ids == item.ids, "\(item.text.debugDescription) encodes to \(ids), expected \(item.ids)")
            comparison.expect(
                isSame(tokenizer.decode(item.ids), item.decoded), "\(item.text.debugDescription) decodes otherwise")
        }
        for item in cases.decode {
            comparison.expect(isSame(tokenizer.decode(item.ids), item.decoded), "\(item.ids) decodes otherwise")
        }
        return comparison.line(
            "\(file) with \(name)", "\(cases.encode.count) texts to ids and back, \(cases.decode.count) cut texts equal"
        )
    }

    private struct AddedTable: Decodable {
        struct Row: Decodable {
            let id: Int32
            let content: String

            init(from decoder: any Decoder) throws {
                var values = try decoder.unkeyedContainer()
                id = try values.decode(Int32.self)
                content = try values.decode(String.self)
            }
        }

        let tokens: [Row]
    }

    /// The added tokens of the OCR model in a real tokenizer.
    func addedTokens(tokenizer: Tokenizer, name: String) throws(ParityError) -> ParityLine {
        let table: AddedTable = try folder.json("deepseek_tokens.json")
        var comparison = Comparison()
        for row in table.tokens {
            let id = tokenizer.id(of: row.content)
            comparison.expect(
                id == row.id,
                "\(row.content.debugDescription) has the id \(id.map(String.init) ?? "none"), expected \(row.id)")
        }
        return comparison.line("deepseek_tokens.json with \(name)", "\(table.tokens.count) added tokens equal")
    }
}
