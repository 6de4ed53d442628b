import Rendering
import SystemPackage
import TestSupport
import Testing

@Suite struct `Password files` {
    private static func utf16(_ text: String, isBigEndian: Bool) -> [UInt8] {
        text.utf16.flatMap { unit in
            let (high, low) = (UInt8(unit >> 8), UInt8(unit & 255))
            return isBigEndian ? [high, low] : [low, high]
        }
    }

    /// As editors and shells write "grüße" and what follows it.
    private static let files: [[UInt8]] = ["", "\n", "\r\n", "\n\n\n", " \r\n", "\t\nnot this\n"].flatMap { ending in
        let text = "grüße" + ending
        let latin1 = text.unicodeScalars.map { UInt8($0.value) }
        let console = Array("gr".utf8) + [0x81, 0xE1] + Array("e\(ending)".utf8)
        return [
            Array(text.utf8), [0xEF, 0xBB, 0xBF] + Array(text.utf8), latin1, console,
            [0xFF, 0xFE] + utf16(text, isBigEndian: false), [0xFE, 0xFF] + utf16(text, isBigEndian: true),
            utf16(text, isBigEndian: false), utf16(text, isBigEndian: true),
        ]
    }

    @Test(arguments: files) func `are read however they were written`(file: [UInt8]) throws {
        let candidates = try #require(PasswordVariants(file: file)).candidates
        #expect(candidates.contains(Array("grüße".utf8)))
        #expect(candidates.contains([0x67, 0x72, 0xFC, 0xDF, 0x65]))
        #expect(candidates.count == Set(candidates).count && candidates.count <= 24)
    }

    @Test func `may hold spaces, which count at first`() throws {
        let candidates = try #require(PasswordVariants(file: Array(" two words \r\n".utf8))).candidates
        #expect(candidates.first == Array(" two words ".utf8))
        #expect(candidates.contains(Array(" two words".utf8)))
    }

    @Test func `hold the characters of each encoding`() throws {
        let candidates = try #require(PasswordVariants(file: Array("5 €".utf8))).candidates
        #expect(candidates == [Array("5 €".utf8), [0x35, 0x20, 0xA0], [0x35, 0x20, 0x80]])
        #expect(try #require(PasswordVariants(file: [])).candidates == [[]])
    }

    @Test func `whose first line is too long for a password are refused`() {
        #expect(PasswordVariants(file: Array(repeating: 0x61, count: 1024)) != nil)
        #expect(PasswordVariants(file: Array(repeating: 0x61, count: 1025)) == nil)
    }

    @Test(arguments: ["locked-umlaut.pdf", "locked-euro-rc4.pdf", "locked-euro-windows.pdf", "locked-spaces.pdf"])
    func `open real documents`(name: String) async throws {
        let folder = try TemporaryDirectory()
        let renderer = try PageRenderer.underTest()
        let file = try folder.write(try Fixture.bytes(name), as: name)
        let password =
            switch name {
            case "locked-umlaut.pdf": "grüße"
            case "locked-spaces.pdf": "two words  "
            default: "fünf €"
            }
        let marked = [0xEF, 0xBB, 0xBF] + Array((password + "\r\n").utf8)
        let wide = [0xFF, 0xFE] + Self.utf16(password + "\r\n", isBigEndian: false)
        for bytes in [Array(password.utf8), marked, wide] {
            _ = try folder.write(bytes, as: name + ".password")
            #expect(try await renderer.inspect(file).pageCount == 1)
            #expect(try await renderer.image(file).darkPixels == 100 * 80)
        }
        _ = try folder.write(Array("fünf".utf8), as: name + ".password")
        #expect(try await renderer.failure(file).kind == .locked)
    }
}
