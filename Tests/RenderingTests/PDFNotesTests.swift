import Rendering
import SystemPackage
import TestSupport
import Testing

/// What is said of a PDF page that is not as it should be: nothing is left blank, cut or shrunk in silence.
@Suite struct `Notes on PDF pages` {
    private static let text = "BT /F 20 Tf 10 40 Td (Minutes of the meeting) Tj ET"
    private static let font = "/Font <</F <</Type /Font /Subtype /Type1 /BaseFont /Courier>>>>"

    private func pages(
        _ bytes: [UInt8], _ range: ClosedRange<Int> = 1...1, limits: RenderLimits = RenderLimits()
    ) async throws -> [RenderedPage] {
        let folder = try TemporaryDirectory()
        return try await PageRenderer.underTest(limits).pages(try folder.write(bytes, as: "a.pdf"), range)
    }

    private func page(_ pdf: HandmadePDF, limits: RenderLimits = RenderLimits()) async throws -> RenderedPage {
        try #require(try await pages(pdf.bytes, limits: limits).first)
    }

    private func summary(_ bytes: [UInt8]) async throws -> DocumentSummary {
        let folder = try TemporaryDirectory()
        return try await PageRenderer.underTest().inspect(try folder.write(bytes, as: "a.pdf"))
    }

    /// Pictures of grey pixels, each drawn by its own command after `q` and before `Q`.
    private func pictures(
        _ sizes: [(width: Int, height: Int, bytes: Int, command: String)], box: [Int], more: String = "",
        then: String = ""
    ) -> HandmadePDF {
        let names = sizes.indices.map { "/I\($0) \(3 + $0) 0 R" }.joined(separator: " ")
        let content = sizes.enumerated().map { "q \($1.command) cm /I\($0) Do Q" }.joined(separator: "\n")
        return HandmadePDF(
            pages: [.init(mediaBox: box, more: more, content: content + "\n" + then)],
            resources: "/XObject <<\(names)>> \(Self.font)",
            objects: sizes.map { size in
                (
                    "/Type /XObject /Subtype /Image /Width \(size.width) /Height \(size.height) "
                        + "/ColorSpace /DeviceGray /BitsPerComponent 8",
                    (0..<size.bytes).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 5) }
                )
            })
    }

    @Test func `a sound page and a blank one have none`() async throws {
        let sound = try await page(
            HandmadePDF(pages: [.init(mediaBox: [0, 0, 300, 100], content: Self.text)], resources: Self.font))
        #expect(sound.notes.isEmpty)
        let blank = try await page(HandmadePDF(pages: [.init(mediaBox: [0, 0, 300, 100], content: "")]))
        #expect(blank.notes.isEmpty)
        #expect(try blank.result.get().darkPixels == 0)
    }

    @Test(arguments: [
        "/Im Do", "/Fm9 Do", "BT /G 20 Tf 10 40 Td (lost) Tj ET", "0 0 m 10 10 l strike", "/Gs gs 1 2 3 cm",
    ])
    func `instructions that refer to nothing, or are none, leave doubt`(content: String) async throws {
        let page = try await page(
            HandmadePDF(pages: [.init(mediaBox: [0, 0, 300, 100], content: content)], resources: Self.font))
        #expect(page.notes.contains { $0.leavesDoubt })
    }

    @Test func `zeroes in place of instructions leave doubt`() async throws {
        let lost = String(repeating: "\0", count: 200)
        for content in [lost, Self.text + "\n" + lost] {
            let page = try await page(
                HandmadePDF(pages: [.init(mediaBox: [0, 0, 300, 100], content: content)], resources: Self.font))
            #expect(page.notes.contains { $0.code == .contentDamaged })
        }
    }

    @Test func `rows that a picture lacks are counted`() async throws {
        let cut = try await page(pictures([(100, 80, 4000, "100 0 0 80 0 0")], box: [0, 0, 100, 80]))
        #expect(cut.notes.map(\.code) == [.pictureDamaged])
        #expect(cut.notes.first?.text.contains("Rows 41 to 80") == true)
        // The picture's last row is at the page's foot; what is missing there is white.
        let image = try cut.result.get()
        #expect((41..<80).allSatisfy { image.pixel(50, $0) == [255, 255, 255] })
        #expect((0..<39).contains { image.pixel(50, $0)[0] < 128 })
        let none = try await page(pictures([(100, 80, 0, "100 0 0 80 0 0")], box: [0, 0, 100, 80]))
        #expect(none.errorKind == .damaged)
        let whole = try await page(pictures([(100, 80, 8000, "100 0 0 80 0 0")], box: [0, 0, 100, 80]))
        #expect(whole.notes.isEmpty)
    }

    @Test func `a JPEG that is cut off inside a PDF is told like one in a file`() async throws {
        let jpeg = try Fixture.bytes("rgb420.jpg")
        func pdf(_ bytes: [UInt8]) -> HandmadePDF {
            HandmadePDF(
                pages: [.init(mediaBox: [0, 0, 61, 45], content: "q 61 0 0 45 0 0 cm /Im Do Q")],
                resources: "/XObject <</Im 3 0 R>>",
                objects: [
                    (
                        "/Type /XObject /Subtype /Image /Width 61 /Height 45 /ColorSpace /DeviceRGB "
                            + "/BitsPerComponent 8 /Filter /DCTDecode", bytes
                    )
                ])
        }
        #expect(try await page(pdf(Array(jpeg.prefix(jpeg.count * 2 / 3)))).notes.map(\.code) == [.pictureDamaged])
        // Only the end marker is missing: every row is there.
        #expect(jpeg.suffix(2) == [0xFF, 0xD9])
        #expect(try await page(pdf(Array(jpeg.dropLast(2)))).notes.allSatisfy { $0.code != .pictureDamaged })
    }

    @Test func `strips have the resolution of the scan that they make`() async throws {
        let strips = (0..<40).map { strip in
            (width: 500, height: 15, bytes: 7500, command: "120 0 0 3.6 0 \(140.4 - Double(strip) * 3.6)")
        }
        let image = try await page(pictures(strips, box: [0, 0, 120, 144])).result.get()
        #expect((image.width, image.height) == (500, 600))
    }

    @Test func `lines and text over a coarse ground have the resolution that was asked for`() async throws {
        let ground = [(width: 60, height: 40, bytes: 2400, command: "300 0 0 200 0 0")]
        for more in ["10 10 m 200 150 l S", "20 20 50 50 re f", Self.text] {
            let image = try await page(pictures(ground, box: [0, 0, 300, 200], then: more)).result.get()
            #expect((image.width, image.height) == (600, 400))
        }
    }

    @Test func `a larger unit makes a larger page`() async throws {
        let page = try await page(
            HandmadePDF(pages: [.init(mediaBox: [0, 0, 100, 50], more: "/UserUnit 3", content: "10 10 40 20 re f")]))
        let image = try page.result.get()
        #expect((image.width, image.height) == (600, 300))
        #expect(image.dpi == 144)
        #expect(image.darkPixels == 240 * 120)
    }

    @Test func `pictures beyond what cairo takes are drawn pixel by pixel`() async throws {
        let long = try await page(pictures([(40_000, 40, 1_600_000, "9600 0 0 9.6 0 0")], box: [0, 0, 9600, 10]))
        #expect(try long.result.get().width == 40_000)
        #expect(try long.result.get().darkPixels > 100_000)
    }

    @Test func `a picture beyond the limit is reduced by a whole factor, and that is said`() async throws {
        let pdf = pictures([(300, 200, 60_000, "150 0 0 100 0 0")], box: [0, 0, 150, 100])
        let page = try await page(pdf, limits: RenderLimits(maxPixels: 10_000))
        #expect((try page.result.get().width, try page.result.get().height) == (100, 67))
        #expect(page.notes.map(\.code) == [.pictureReduced])
    }

    @Test(arguments: [
        ("/CropBox [500 500 600 600]", "whole page"), ("/CropBox [10 10 10 90]", "whole page"),
        ("/CropBox [1 2 3]", "whole page"),
    ])
    func `boxes that disagree are told, and the page is shown`(more: String, words: String) async throws {
        let page = try await page(
            HandmadePDF(pages: [.init(mediaBox: [0, 0, 100, 50], more: more, content: "10 10 40 20 re f")]))
        #expect(page.notes.map(\.code) == [.boxesDisagree])
        #expect(page.notes.first?.text.contains(words) == true)
        #expect(try page.result.get().darkPixels == 80 * 40)
    }

    @Test func `a page without a usable size is shown as US letter`() async throws {
        for box in [[0, 0, 0, 0], [0, 0, 100, 0], []] {
            let page = try await page(HandmadePDF(pages: [.init(mediaBox: box, content: "10 10 40 20 re f")]))
            #expect(page.notes.map(\.code) == [.boxesDisagree])
            #expect((try page.result.get().width, try page.result.get().height) == (1224, 1584))
        }
    }
}
