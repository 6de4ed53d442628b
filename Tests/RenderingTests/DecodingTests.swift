import Digest
import FoundationEssentials
import Rendering
import SystemPackage
import TestSupport
import Testing

/// What `Fixtures/make_fixtures.py` says that an image must decode to.
struct ExpectedImage: Decodable, Sendable {
    struct Page: Decodable, Sendable, Equatable {
        var width: Int
        var height: Int
        var sha256: String
    }

    var dpi: Double?
    var pages: [Page]

    static func all() throws -> [String: ExpectedImage] {
        try JSONDecoder().decode([String: ExpectedImage].self, from: Data(Fixture.bytes("expected.json")))
    }
}

@Suite struct `Decoding of images` {
    @Test(arguments: ["png", "jpg", "tiff"])
    func `gives the very bytes that Pillow gives`(ending: String) async throws {
        let renderer = try PageRenderer.underTest()
        let images = try ExpectedImage.all().filter { $0.key.hasSuffix("." + ending) }
        #expect(images.count >= 14)
        for (name, expected) in images.sorted(by: { $0.key < $1.key }) {
            let summary = try await renderer.inspect(Fixture.path(name))
            #expect(summary.pageCount == expected.pages.count, "\(name)")
            let pages = await renderer.pages(Fixture.path(name), 1...expected.pages.count)
            #expect(pages.map(\.page) == Array(1...expected.pages.count), "\(name)")
            for (page, expected) in zip(pages, expected.pages) {
                let image = try page.result.get()
                let found = ExpectedImage.Page(
                    width: image.width, height: image.height, sha256: SHA256.hash(image.bytes).hex)
                #expect(found == expected, "\(name), page \(page.page)")
            }
            let dpi = try pages[0].result.get().dpi
            if let wanted = expected.dpi {
                #expect(abs((dpi ?? 0) - wanted) < 0.01, "\(name)")
            } else {
                #expect(dpi == nil, "\(name)")
            }
        }
    }

    @Test func `begins in the middle of a document`() async throws {
        let expected = try #require(try ExpectedImage.all()["pages5.tiff"]).pages
        let pages = try await PageRenderer.underTest().pages(Fixture.path("pages5.tiff"), 3...4)
        #expect(pages.map(\.page) == [3, 4])
        #expect(try pages.map { try SHA256.hash($0.result.get().bytes).hex } == expected[2...3].map(\.sha256))
    }

    @Test func `says that a page beyond the last does not exist`() async throws {
        let error = try await PageRenderer.underTest().failure(Fixture.path("pages5.tiff"), page: 6)
        #expect(error.kind == .damaged && error.message.contains("no such page"))
    }

    @Test(arguments: ["turned3.tiff"])
    func `never makes up what a cut file lacks`(name: String) async throws {
        let folder = try TemporaryDirectory()
        let whole = try Fixture.bytes(name)
        let renderer = try PageRenderer.underTest()
        let complete = try await renderer.image(Fixture.path(name))
        for length in stride(from: 1, to: whole.count, by: max(1, whole.count / 23)) {
            let file = try folder.write(Array(whole.prefix(length)), as: "cut")
            switch try #require(await renderer.pages(file).first).result {
            case .success(let image): #expect(image.bytes == complete.bytes, "\(length) of \(whole.count) bytes")
            case .failure(let error):
                #expect(error.kind == .damaged && error.message.count > 40, "\(length): \(error.kind) \(error)")
            }
        }
    }

    @Test func `reads a JPEG and a PNG that lack only their end mark`() async throws {
        let folder = try TemporaryDirectory()
        let renderer = try PageRenderer.underTest()
        for (name, mark) in [("rgb420.jpg", 2), ("rgb8.png", 12)] {
            let file = try folder.write(try Fixture.bytes(name).dropLast(mark), as: name)
            let (found, wanted) = (try await renderer.image(file), try await renderer.image(Fixture.path(name)))
            #expect(found.bytes == wanted.bytes)
        }
    }

    @Test(arguments: ["g3.tiff", "g4.tiff", "lzw.tiff", "deflate.tiff", "packbits.tiff", "ycbcr-jpeg.tiff"])
    func `reports compressed TIFF data that end too early`(name: String) async throws {
        let folder = try TemporaryDirectory()
        var bytes = try Fixture.bytes(name)
        setTag(279, of: &bytes) { $0 / 2 }
        let renderer = try PageRenderer.underTest()
        let page = try #require(await renderer.pages(try folder.write(bytes, as: "cut.tiff")).first)
        #expect(page.notes.map(\.code) == [.pictureDamaged])
        // The rows that there are, then white.
        let (image, whole) = (try page.result.get(), try await renderer.image(Fixture.path(name)))
        let row = image.width * 3
        let inked = (0..<image.height).filter { y in image.bytes[y * row..<(y + 1) * row].contains { $0 < 255 } }
        let last = try #require(inked.last)
        #expect(last < image.height - 1)
        // The last row, and of fax that before it, may be made of half of their data.
        let sound = max(0, last - 1) * row
        if name != "ycbcr-jpeg.tiff" { #expect(image.bytes.prefix(sound) == whole.bytes.prefix(sound)) }
    }

    @Test func `keeps the place of pages that a cut TIFF has lost`() async throws {
        let folder = try TemporaryDirectory()
        let whole = try Fixture.bytes("pages5.tiff")
        let renderer = try PageRenderer.underTest()
        let file = try folder.write(Array(whole.prefix(whole.count * 7 / 10)), as: "cut.tiff")
        let count = try await renderer.inspect(file).pageCount
        #expect((2...5).contains(count))
        let pages = await renderer.pages(file, 1...count)
        #expect(pages.dropLast().allSatisfy { $0.errorKind == nil })
        #expect(pages.last?.errorKind == .damaged)
    }

    @Test func `counts a TIFF whose list of pages runs in a circle once`() async throws {
        let folder = try TemporaryDirectory()
        var bytes = try Fixture.bytes("rgb8.tiff")
        let directory = little(bytes, 4, 4)
        let next = directory + 2 + little(bytes, directory, 2) * 12
        for byte in 0..<4 { bytes[next + byte] = bytes[4 + byte] }
        let file = try folder.write(bytes, as: "circle.tiff")
        #expect(try await PageRenderer.underTest().inspect(file).pageCount == 1)
    }

    @Test func `ends soon with images that state more than their bytes can hold`() async throws {
        let folder = try TemporaryDirectory()
        let renderer = try PageRenderer.underTest()
        var png = try Fixture.bytes("rgb8.png")
        for place in 16..<24 { png[place] = 0x0F }
        var jpeg = try Fixture.bytes("rgb420.jpg")
        let frame = try #require(jpeg.indices.dropLast(9).first { jpeg[$0] == 0xFF && jpeg[$0 + 1] == 0xC0 })
        for place in frame + 5..<frame + 9 { jpeg[place] = 0xFD }
        var tiff = try Fixture.bytes("g4.tiff")
        for tag in [256, 257, 278] { setTag(tag, of: &tiff) { _ in 0xFFFF_FFFF } }
        for (name, bytes) in [("a.png", png), ("a.jpg", jpeg), ("a.tiff", tiff)] {
            let page = try #require(await renderer.pages(try folder.write(bytes, as: name)).first)
            // Of fax data some rows may come before they end.
            let isTold = name == "a.tiff" && page.notes.map(\.code).contains(.pictureDamaged)
            #expect(isTold || [.tooLarge, .damaged].contains(page.errorKind), "\(name): \(page)")
        }
        let limited = try PageRenderer.underTest(RenderLimits(maxPixels: 37 * 23 - 1))
        let reduced = try #require(await limited.pages(Fixture.path("rgb8.png")).first)
        #expect(try reduced.result.get().width == 19)
        #expect(reduced.notes.map(\.code) == [.pictureReduced])
        let exact = try PageRenderer.underTest(RenderLimits(maxPixels: 37 * 23))
        #expect(try await exact.image(Fixture.path("rgb8.png")).width == 37)
    }

    @Test func `keeps to the memory limit`() async throws {
        let small = try PageRenderer.underTest(RenderLimits(memoryBytes: 300 << 20, maxPixels: 100_000_000))
        let error = try await small.failure(Fixture.path("large.png"))
        #expect(error.kind == .tooLarge && error.message.contains("memory"), "\(error)")
        #expect(error.isPermanent)
    }

    /// Changes the value of a tag that stands in the first directory itself.
    private func setTag(_ tag: Int, of bytes: inout [UInt8], to change: (Int) -> Int) {
        let directory = little(bytes, 4, 4)
        for entry in 0..<little(bytes, directory, 2) where little(bytes, directory + 2 + entry * 12, 2) == tag {
            let place = directory + 2 + entry * 12 + 8
            let value = change(little(bytes, place, 4))
            for byte in 0..<4 { bytes[place + byte] = UInt8(truncatingIfNeeded: value >> (8 * byte)) }
        }
    }

    private func little(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> Int {
        (0..<count).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) }
    }
}
