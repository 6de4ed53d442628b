import Rendering
import TestSupport
import Testing

@Suite struct `Tags of pictures` {
    @Test(arguments: [1, 3, 4, 6, 8, 9])
    func `turn a JPEG upright by an orientation of any integer type`(type: UInt8) async throws {
        let folder = try TemporaryDirectory()
        var bytes = try Fixture.bytes("turned6.jpg")
        // II: tag, type, count of the only entry.
        let entry = try #require(
            bytes.indices.dropLast(12).first { bytes[$0..<$0 + 4].elementsEqual([0x12, 0x01, 3, 0]) })
        bytes[entry + 2] = type
        let (found, wanted) = (
            try await PageRenderer.underTest().image(try folder.write(bytes, as: "a.jpg")),
            try await PageRenderer.underTest().image(Fixture.path("turned6.jpg"))
        )
        #expect(found.width == wanted.width && found.bytes == wanted.bytes)
    }

    @Test(arguments: [33003, 33005, 34712, 50000, 9999])
    func `of a TIFF say which compression is not read`(scheme: Int) async throws {
        let folder = try TemporaryDirectory()
        var bytes = try Fixture.bytes("rgb8.tiff")
        let directory = little(bytes, 4, 4)
        for entry in 0..<little(bytes, directory, 2) where little(bytes, directory + 2 + entry * 12, 2) == 259 {
            bytes[directory + 10 + entry * 12] = UInt8(truncatingIfNeeded: scheme)
            bytes[directory + 11 + entry * 12] = UInt8(truncatingIfNeeded: scheme >> 8)
        }
        // Zstandard is built in on some machines, and finds no data of its own.
        let error = try await PageRenderer.underTest().failure(try folder.write(bytes, as: "a.tiff"))
        #expect(error.kind == .unsupported || scheme == 50000, "\(error)")
    }

    @Test func `of a TIFF that flag a page as reduced do not hide one of full size`() async throws {
        let folder = try TemporaryDirectory()
        var bytes = try Fixture.bytes("thumbnail.tiff")
        let renderer = try PageRenderer.underTest()
        #expect(try await renderer.inspect(try folder.write(bytes, as: "a.tiff")).pageCount == 1)
        let first = little(bytes, 4, 4)
        let second = little(bytes, first + 2 + little(bytes, first, 2) * 12, 4)
        for entry in 0..<little(bytes, second, 2) {
            let place = second + 2 + entry * 12
            if little(bytes, place, 2) == 256 { bytes[place + 8] = 37 }
            if little(bytes, place, 2) == 257 { bytes[place + 8] = 23 }
        }
        #expect(try await renderer.inspect(try folder.write(bytes, as: "b.tiff")).pageCount == 2)
    }

    @Test(arguments: ["g3.tiff", "g4.tiff"])
    func `of a sound fax lead to no note, bad code words in it do`(name: String) async throws {
        let folder = try TemporaryDirectory()
        let renderer = try PageRenderer.underTest()
        var bytes = try Fixture.bytes(name)
        #expect(try #require(await renderer.pages(Fixture.path(name)).first).notes.isEmpty)
        let directory = little(bytes, 4, 4)
        var (start, count) = (0, 0)
        for entry in 0..<little(bytes, directory, 2) {
            let place = directory + 2 + entry * 12
            if little(bytes, place, 2) == 273 { start = little(bytes, place + 8, 4) }
            if little(bytes, place, 2) == 279 { count = little(bytes, place + 8, 4) }
        }
        for place in start + count / 2..<start + count / 2 + 8 { bytes[place] = 0 }
        let page = try #require(await renderer.pages(try folder.write(bytes, as: "a.tiff")).first)
        #expect(page.errorKind == .damaged || page.notes.map(\.code) == [.pictureDamaged])
    }

    private func little(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> Int {
        (0..<count).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) }
    }
}
