import Coordinator
import Shared
import SystemPackage
import Testing

@Suite struct `Arguments that need not be UTF-8` {
    @Test(
        arguments: [
            Array("plain".utf8), Array("Straße 7/día.pdf".utf8), [0x61, 0xFF, 0x62], [0xE4, 0x2E, 0x70, 0x64, 0x66],
            [0xC3], [0xC3, 0xA4, 0x80], [0xF0, 0x9F, 0x93, 0x84, 0xF0, 0x9F], [0xED, 0xA0, 0x80],
        ] as [[UInt8]])
    func `keep their bytes on the way through the parser`(bytes: [UInt8]) throws {
        let text = RawArguments.escape(bytes)
        #expect(RawArguments.bytes(text) == bytes)
        let argument = try #require(PathArgument(argument: text))
        #expect(argument.path.bytes == bytes)
    }

    @Test func `an empty path is refused`() {
        #expect(PathArgument(argument: "") == nil)
    }

    @Test func `valid text is not changed`() {
        #expect(RawArguments.escape(Array("Ä/日本".utf8)) == "Ä/日本")
    }

    @Test func `a page is named by path, colon and number`() throws {
        let reference = try #require(PageReference(Array("letters/a:b.pdf:7".utf8)))
        #expect(reference.path == "letters/a:b.pdf")
        #expect(reference.page == 7)
        let latin = try #require(PageReference([0xE4, 0x3A, 0x31]))
        #expect(latin.path.bytes == [0xE4])
    }

    @Test(arguments: ["letters/a.pdf", ":7", "a.pdf:", "a.pdf:0", "a.pdf:-1", "a.pdf:x", ""])
    func `anything else names no page`(text: String) {
        #expect(PageReference(Array(text.utf8)) == nil)
    }
}
