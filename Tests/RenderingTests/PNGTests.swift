import Rendering
import TestSupport
import Testing

@Suite struct `PNG files` {
    @Test(arguments: ["rgb8.png", "grey1.png", "rgba8.png", "rgb16.png", "interlaced.png"])
    func `keep what comes before the cut, and say what is missing`(name: String) async throws {
        let folder = try TemporaryDirectory()
        let whole = try Fixture.bytes(name)
        let renderer = try PageRenderer.underTest()
        let complete = try await renderer.image(Fixture.path(name))
        var noted = 0
        for length in stride(from: 1, to: whole.count - 20, by: max(1, whole.count / 37)) {
            let file = try folder.write(Array(whole.prefix(length)), as: "cut")
            let page = try #require(await renderer.pages(file).first)
            switch page.result {
            case .success(let image):
                #expect(page.notes.map(\.code) == [.pictureDamaged], "\(length) of \(whole.count) bytes")
                #expect(image.width == complete.width && image.height == complete.height)
                noted += 1
                let text = page.notes.first?.text ?? ""
                let words = text.split(separator: " ")
                if let at = words.firstIndex(of: "rows"), let first = Int(words[at + 1]) {
                    let place = (first - 1) * image.width * 3
                    #expect(image.bytes[place...].allSatisfy { $0 == 255 }, "\(text)")
                    if name != "interlaced.png" {
                        #expect(image.bytes[..<place].elementsEqual(complete.bytes[..<place]), "\(text)")
                    }
                } else {
                    #expect(text.contains("coarser") && name == "interlaced.png", "\(text)")
                }
            case .failure(let error):
                #expect(error.kind == .damaged && error.message.count > 40, "\(length): \(error.kind) \(error)")
            }
        }
        #expect(noted > 0 || name == "grey1.png")
    }

    @Test func `with a wrong check sum are noted`() async throws {
        let folder = try TemporaryDirectory()
        var bytes = try Fixture.bytes("rgb8.png")
        bytes[bytes.count - 13] ^= 0xFF
        let page = try #require(await PageRenderer.underTest().pages(try folder.write(bytes, as: "sum")).first)
        #expect(try page.result.get().width == 37)
        #expect(page.notes.map(\.code) == [.pictureDamaged])
    }

    @Test func `of fax resolution get square pixels`() async throws {
        let image = try await PageRenderer.underTest().image(Fixture.path("fax-pixels.png"))
        #expect(image.width == 64 && image.height == 48)
    }

    @Test func `that are white on nothing are shown on black, and noted`() async throws {
        let page = try #require(await PageRenderer.underTest().pages(Fixture.path("white-on-nothing.png")).first)
        let image = try page.result.get()
        #expect(image.bytes[0] == 0 && image.bytes[(10 * 37 + 12) * 3] == 255)
        #expect(page.notes.map(\.code) == [.transparentGround])
    }

    @Test func `of 16 bits show what fills a part of the range only, but no noise of paper`() async throws {
        let renderer = try PageRenderer.underTest()
        for (name, isSeen) in [("twelve-bits.png", true), ("narrow.png", true), ("paper16.png", false)] {
            let bytes = try await renderer.image(Fixture.path(name)).bytes
            let (least, most) = (bytes.min() ?? 0, bytes.max() ?? 0)
            #expect((most - least > 200) == isSeen, "\(name): \(least) to \(most)")
            #expect(isSeen || least >= 0xF0)
        }
    }
}
