import Rendering
import TestSupport
import Testing

@Suite struct `Damaged JPEG files` {
    /// Rows of 8 or 16 are decoded together; colour is blended over their border.
    private static let blended = 2

    @Test(arguments: ["rgb420.jpg", "rgb444.jpg", "grey.jpg", "cmyk.jpg", "stored-rgb.jpg", "rgb422-progressive.jpg"])
    func `keep what comes before the cut, and say what is missing`(name: String) async throws {
        let folder = try TemporaryDirectory()
        let whole = try Fixture.bytes(name)
        let renderer = try PageRenderer.underTest()
        let complete = try await renderer.image(Fixture.path(name))
        var noted = 0
        for length in stride(from: 1, to: whole.count - 2, by: max(1, whole.count / 37)) {
            let file = try folder.write(Array(whole.prefix(length)), as: "cut")
            let page = try #require(await renderer.pages(file).first)
            switch page.result {
            case .success(let image):
                #expect(page.notes.map(\.code) == [.pictureDamaged], "\(length) of \(whole.count) bytes")
                #expect(image.width == complete.width && image.height == complete.height)
                let text = page.notes.first?.text ?? ""
                if let first = Self.firstLostRow(text) {
                    noted += 1
                    let rowBytes = image.width * 3
                    #expect(image.bytes[((first - 1) * rowBytes)...].allSatisfy { $0 == 255 }, "\(text)")
                    if name != "rgb422-progressive.jpg" {
                        let sound = max(0, first - 1 - Self.blended) * rowBytes
                        #expect(image.bytes[..<sound].elementsEqual(complete.bytes[..<sound]), "\(text)")
                    }
                } else {
                    #expect(text.contains("coarser") || text.contains("may be wrong"), "\(text)")
                }
            case .failure(let error):
                #expect(error.kind == .damaged && error.message.count > 40, "\(length): \(error.kind) \(error)")
            }
        }
        #expect(noted > 0)
    }

    @Test func `are noted where libjpeg meets a bad code`() async throws {
        let folder = try TemporaryDirectory()
        var bytes = try Fixture.bytes("rgb444.jpg")
        for place in bytes.count * 2 / 3..<bytes.count * 2 / 3 + 6 { bytes[place] = 0xFE }
        let page = try #require(await PageRenderer.underTest().pages(try folder.write(bytes, as: "a.jpg")).first)
        #expect(page.errorKind == nil)
        #expect(page.notes.map(\.code) == [.pictureDamaged])
    }

    @Test(arguments: [0xC3, 0xC5, 0xCB, 0xF7] as [UInt8])
    func `are told from processes that are not read`(frame: UInt8) async throws {
        let folder = try TemporaryDirectory()
        var bytes = try Fixture.bytes("rgb444.jpg")
        let place = try #require(bytes.indices.dropLast(9).first { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xC0 })
        bytes[place + 1] = frame
        let error = try await PageRenderer.underTest().failure(try folder.write(bytes, as: "a.jpg"))
        #expect(error.kind == .unsupported && error.message.contains("convert it"), "\(error)")
    }

    @Test func `of 12 bits a sample are not read, and not called damaged`() async throws {
        let folder = try TemporaryDirectory()
        var bytes = try Fixture.bytes("rgb444.jpg")
        let place = try #require(bytes.indices.dropLast(9).first { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xC0 })
        bytes[place + 4] = 12
        let error = try await PageRenderer.underTest().failure(try folder.write(bytes, as: "a.jpg"))
        #expect(error.kind == .unsupported && error.message.contains("convert it"), "\(error)")
    }

    /// Counted from 1, as the note names it.
    private static func firstLostRow(_ text: String) -> Int? {
        let words = text.split(separator: " ")
        guard let at = words.firstIndex(of: "rows"), at + 1 < words.count else { return nil }
        return Int(words[at + 1].filter(\.isNumber))
    }
}
