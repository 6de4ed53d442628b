import Shared
import SystemPackage
import Testing

@Suite struct PathTests {
    @Test(
        arguments: [
            ([0x61], "a"), ([0xC3, 0xA4], "ä"), ([0xC3], "\\xc3"), ([0xE4, 0x62], "\\xe4b"), ([0x1B, 0x5B], "\\x1b["),
            ([0xF0, 0x9F, 0x93, 0x84], "📄"), ([0xE2, 0x80, 0xAE], "\\xe2\\x80\\xae"),
            ([0xED, 0xA0, 0x80], "\\xed\\xa0\\x80"),
        ] as [([UInt8], String)])
    func `a path is shown with its odd bytes escaped`(bytes: [UInt8], text: String) {
        #expect(FilePath(bytes: bytes).displayText == text)
        #expect(FilePath(bytes: bytes).bytes == bytes)
    }

    @Test func `a location is named below its folder`() {
        let file = SourceLocation(root: "r", path: "a/b/c.pdf")
        #expect(file.path(below: SourceLocation(root: "r", path: "a")) == "b/c.pdf")
        #expect(file.path(below: SourceLocation(root: "r", path: "")) == "a/b/c.pdf")
        #expect(file.path(below: SourceLocation(root: "s", path: "a")) == "a/b/c.pdf")
        #expect(file.path(below: file) == "a/b/c.pdf")
    }
}
