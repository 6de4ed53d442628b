import Rendering
import SystemPackage
import TestSupport
import Testing

@Suite struct `Rendering of PDF pages` {
    /// A black bar at the bottom left of a page of 200 x 100 points.
    private static let bar = "0 0 0 rg 0 0 50 20 re f"

    private func render(_ pdf: HandmadePDF, page: Int = 1, pdfDPI: Int? = nil) async throws -> PageImage {
        let folder = try TemporaryDirectory()
        return try await PageRenderer.underTest().image(
            try folder.write(pdf.bytes, as: "a.pdf"), page: page, pdfDPI: pdfDPI)
    }

    @Test func `draws on white at 144 dots an inch or as asked`() async throws {
        let pdf = HandmadePDF(pages: [.init(mediaBox: [0, 0, 200, 100], content: Self.bar)])
        let usual = try await render(pdf)
        #expect((usual.width, usual.height) == (400, 200))
        #expect(usual.dpi == 144)
        #expect(usual.pixel(10, 190) == [0, 0, 0])
        #expect(usual.pixel(390, 10) == [255, 255, 255])
        #expect(usual.darkPixels == 100 * 40)
        let fine = try await render(pdf, pdfDPI: 288)
        #expect((fine.width, fine.height) == (800, 400))
    }

    @Test(arguments: [
        (90, 200, 400, 10, 10), (180, 400, 200, 390, 10), (270, 200, 400, 190, 390), (-90, 200, 400, 190, 390),
    ])
    func `turns a page as it says`(rotation: Int, width: Int, height: Int, x: Int, y: Int) async throws {
        let image = try await render(
            HandmadePDF(pages: [.init(mediaBox: [0, 0, 200, 100], more: "/Rotate \(rotation)", content: Self.bar)]))
        #expect((image.width, image.height) == (width, height))
        #expect(image.pixel(x, y) == [0, 0, 0])
        #expect(image.darkPixels == 100 * 40)
    }

    @Test func `shows what the crop box shows`() async throws {
        let image = try await render(
            HandmadePDF(pages: [
                .init(mediaBox: [0, 0, 200, 100], more: "/CropBox [40 10 140 60]", content: Self.bar)
            ]))
        #expect((image.width, image.height) == (200, 100))
        #expect(image.darkPixels == 20 * 20)
        #expect(image.pixel(5, 95) == [0, 0, 0])
    }

    @Test func `draws text in a font that is not embedded`() async throws {
        let pdf = HandmadePDF(
            pages: [.init(mediaBox: [0, 0, 200, 50], content: "BT /F 30 Tf 10 10 Td (Archive) Tj ET")],
            resources: "/Font <</F <</Type /Font /Subtype /Type1 /BaseFont /Courier>>>>")
        #expect(try await render(pdf).darkPixels > 500)
        try await PageRenderer.underTest().selfTest()
    }

    /// 150 x 60 pixels of noise, and a PDF that shows them on so many points.
    private func scan(on size: (Int, Int), more: String = "", at corner: Int = 0, then: String = "") -> (
        pixels: [UInt8], pdf: HandmadePDF
    ) {
        let pixels = (0..<150 * 60 * 3).map { UInt8(truncatingIfNeeded: $0 &* $0 &* 2_654_435 >> 7) }
        let dictionary =
            "/Type /XObject /Subtype /Image /Width 150 /Height 60 /ColorSpace /DeviceRGB /BitsPerComponent 8"
        let pdf = HandmadePDF(
            pages: [
                .init(
                    mediaBox: [0, 0, size.0 + 2 * corner, size.1 + 2 * corner], more: more,
                    content: "q \(size.0) 0 0 \(size.1) \(corner) \(corner) cm /Im Do Q \(then)")
            ],
            resources: "/XObject <</Im 3 0 R>> /Font <</F <</Type /Font /Subtype /Type1 /BaseFont /Courier>>>>",
            objects: [(dictionary, pixels)])
        return (pixels, pdf)
    }

    @Test func `hands a scan through pixel by pixel, at its own resolution`() async throws {
        let (pixels, pdf) = scan(on: (50, 20))
        let image = try await render(pdf)
        #expect((image.width, image.height) == (150, 60))
        #expect(image.dpi == 216)
        #expect(image.bytes == pixels)
    }

    @Test func `hands a scan through that a crop box cuts out`() async throws {
        let (pixels, pdf) = scan(on: (50, 20), more: "/CropBox [30 30 80 50]", at: 30)
        #expect(try await render(pdf).bytes == pixels)
        let turned = try await render(scan(on: (50, 20), more: "/CropBox [30 30 80 50] /Rotate 270", at: 30).pdf)
        #expect((turned.width, turned.height) == (60, 150))
        #expect(turned.pixel(0, 149) == Array(pixels[0..<3]))
    }

    @Test func `hands a scan on a turned page through as well`() async throws {
        let (pixels, pdf) = scan(on: (50, 20), more: "/Rotate 90")
        let image = try await render(pdf)
        #expect((image.width, image.height) == (60, 150))
        #expect(image.pixel(59, 0) == Array(pixels[0..<3]))
        #expect(image.pixel(0, 0) == Array(pixels[59 * 150 * 3..<59 * 150 * 3 + 3]))
    }

    @Test func `keeps text over a coarse picture sharp`() async throws {
        let image = try await render(scan(on: (150, 60), then: "BT /F 9 Tf 10 10 Td (Archive) Tj ET").pdf)
        #expect((image.width, image.height) == (300, 120))
        let alone = try await render(scan(on: (150, 60)).pdf)
        #expect((alone.width, alone.height) == (150, 60))
    }

    @Test func `keeps the pixels of a lone picture, however coarse or fine`() async throws {
        for size in [(600, 240), (10, 4)] {
            let (pixels, pdf) = scan(on: size)
            #expect(try await render(pdf).bytes == pixels)
        }
    }

    @Test func `lowers the resolution of a large page until it fits, and says so`() async throws {
        let folder = try TemporaryDirectory()
        let pdf = HandmadePDF(pages: [.init(mediaBox: [0, 0, 1000, 1000], content: Self.bar)])
        let file = try folder.write(pdf.bytes, as: "large.pdf")
        for (limit, least) in [(2_000_000, 1300), (900_000, 900), (100, 9)] {
            let page = try #require(await PageRenderer.underTest(RenderLimits(maxPixels: limit)).pages(file).first)
            let image = try page.result.get()
            #expect(image.width * image.height <= limit && image.width >= least)
            #expect(page.notes.map(\.code) == [.resolutionReduced])
            #expect(page.notes[0].text.contains("--max-pixels"))
        }
    }

    @Test(arguments: ["locked-rc4.pdf", "locked-aes256.pdf"])
    func `opens an encrypted PDF with the password beside it only`(name: String) async throws {
        let folder = try TemporaryDirectory()
        let renderer = try PageRenderer.underTest()
        let file = try folder.write(try Fixture.bytes(name), as: name)
        let without = try await renderer.failure(file)
        #expect(without.kind == .locked && without.message.contains(".password"))
        _ = try folder.write(Array("wrong\n".utf8), as: name + ".password")
        let wrong = try await renderer.failure(file)
        #expect(wrong.kind == .locked && wrong.message.contains("wrong"))
        _ = try folder.write(Array("sesame\r\nnot this\n".utf8), as: name + ".password")
        #expect(try await renderer.inspect(file) == DocumentSummary(format: .pdf, pageCount: 1))
        #expect(try await renderer.image(file).darkPixels == 100 * 80)
    }

    @Test func `takes passwords that are not ASCII`() async throws {
        let folder = try TemporaryDirectory()
        let file = try folder.write(try Fixture.bytes("locked-umlaut.pdf"), as: "a.pdf")
        _ = try folder.write(Array("grüße\n".utf8), as: "a.pdf.password")
        #expect(try await PageRenderer.underTest().image(file).darkPixels == 100 * 80)
    }

    @Test func `counts thousands of pages and renders the last`() async throws {
        let folder = try TemporaryDirectory()
        let page = HandmadePDF.Page(mediaBox: [0, 0, 200, 100], content: Self.bar)
        let file = try folder.write(
            HandmadePDF(pages: Array(repeating: page, count: 5000)).bytes, as: "many.pdf")
        let renderer = try PageRenderer.underTest()
        #expect(try await renderer.inspect(file).pageCount == 5000)
        #expect(try await renderer.image(file, page: 5000).darkPixels == 100 * 40)
    }

    @Test func `says why a damaged PDF cannot be read`() async throws {
        let folder = try TemporaryDirectory()
        let renderer = try PageRenderer.underTest()
        let whole = HandmadePDF(pages: [.init(mediaBox: [0, 0, 200, 100], content: Self.bar)]).bytes
        let empty = HandmadePDF(pages: []).bytes
        let cases = [
            ("only claims", Array("%PDF-1.7\nnothing of the kind\n".utf8)), ("cut", Array(whole.prefix(120))),
            ("no pages", empty),
        ]
        for (name, bytes) in cases {
            let file = try folder.write(bytes, as: name)
            await #expect { try await renderer.inspect(file) } throws: { error in
                guard let error = error as? RenderError else { return false }
                return error.kind == .damaged && error.message.hasPrefix("The PDF") && error.isPermanent
            }
            #expect(try await renderer.failure(file).kind == .damaged)
        }
    }
}
