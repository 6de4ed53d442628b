import Rendering
import SystemPackage
import TestSupport
import Testing

@Suite struct `Cutting out figures` {
    /// Red on the left half, blue on the right.
    private let image = PageImage(
        width: 64, height: 48, bytes: (0..<64 * 48).flatMap { $0 % 64 < 32 ? [200, 0, 0] : [0, 0, 200] }, dpi: nil)

    private func near(_ pixel: [UInt8], _ wanted: [UInt8]) -> Bool {
        zip(pixel, wanted).allSatisfy { abs(Int($0) - Int($1)) < 12 }
    }

    @Test func `gives a JPEG for each box, black where it reaches beyond the image`() async throws {
        let renderer = try PageRenderer.underTest()
        let folder = try TemporaryDirectory()
        let boxes = [
            PixelBox(x1: 0, y1: 0, x2: 16, y2: 32), PixelBox(x1: 48, y1: 32, x2: 80, y2: 64),
            PixelBox(x1: -16, y1: -16, x2: 16, y2: 16), PixelBox(x1: 500, y1: 500, x2: 516, y2: 516),
        ]
        let files = try await renderer.encodeJPEG(image, boxes: boxes)
        try #require(files.count == 4)
        var cuts: [PageImage] = []
        for file in files { cuts.append(try await renderer.image(try folder.write(file, as: "cut.jpg"))) }
        #expect(cuts.map(\.width) == [16, 32, 32, 16])
        #expect(cuts.map(\.height) == [32, 32, 32, 16])
        #expect(near(cuts[0].pixel(8, 8), [200, 0, 0]))
        #expect(near(cuts[1].pixel(4, 4), [0, 0, 200]) && near(cuts[1].pixel(28, 28), [0, 0, 0]))
        #expect(near(cuts[2].pixel(28, 28), [200, 0, 0]) && near(cuts[2].pixel(4, 4), [0, 0, 0]))
        #expect(cuts[3].bytes.allSatisfy { $0 == 0 })
    }

    @Test func `gives no bytes for boxes that cannot be cut, and keeps the others' places`() async throws {
        let boxes = [
            PixelBox(x1: 5, y1: 5, x2: 5, y2: 9), PixelBox(x1: 9, y1: 0, x2: 3, y2: 9),
            PixelBox(x1: 0, y1: 0, x2: 8, y2: 8), PixelBox(x1: 0, y1: 0, x2: 70_000, y2: 8),
            PixelBox(x1: .min, y1: 0, x2: .max, y2: 8),
        ]
        let files = try await PageRenderer.underTest().encodeJPEG(image, boxes: boxes)
        #expect(files.map(\.isEmpty) == [true, true, false, true, true])
    }

    @Test func `takes no boxes and refuses an image that is not as large as it says`() async throws {
        let renderer = try PageRenderer.underTest()
        #expect(try await renderer.encodeJPEG(image, boxes: []).isEmpty)
        let wrong = PageImage(width: 64, height: 49, bytes: image.bytes, dpi: nil)
        await #expect(throws: RenderError.self) {
            try await renderer.encodeJPEG(wrong, boxes: [PixelBox(x1: 0, y1: 0, x2: 8, y2: 8)])
        }
    }
}
