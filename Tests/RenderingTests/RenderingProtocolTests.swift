import Rendering
import Testing

@Suite struct `The first bytes of a file` {
    @Test func `say what is read`() {
        #expect(DocumentKind.sniff(Array("%PDF-1.7".utf8)) == .readable(.pdf))
        #expect(DocumentKind.sniff(Array(repeating: 0, count: 1000) + Array("%PDF-1.7".utf8)) == .readable(.pdf))
        #expect(DocumentKind.sniff(Array(repeating: 0, count: 1020) + Array("%PDF-1.7".utf8)) == .unknown)
        for head: [UInt8] in [[0x49, 0x49, 42, 0], [0x4D, 0x4D, 0, 42], [0x49, 0x49, 43, 0], [0x4D, 0x4D, 0, 43]] {
            #expect(DocumentKind.sniff(head) == .readable(.tiff))
        }
        #expect(DocumentKind.sniff([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) == .readable(.png))
        #expect(DocumentKind.sniff([0xFF, 0xD8, 0xFF, 0xE1]) == .readable(.jpeg))
    }

    @Test func `name what is not read, and the reason says what to do`() throws {
        let webp = DocumentKind.sniff(Array("RIFF\0\0\0\0WEBPVP8 ".utf8))
        #expect(webp == .unsupported(name: "a WebP image"))
        #expect(try #require(webp.reason).contains("convert"))
        #expect(DocumentKind.sniff([0, 0, 0, 12] + Array("jP  \r\n".utf8)) == .unsupported(name: "a JPEG 2000 image"))
        #expect(DocumentKind.sniff(Array("AT&TFORM".utf8)) == .unsupported(name: "a DjVu document"))
        #expect(DocumentKind.sniff([]) == .empty)
        #expect(DocumentKind.sniff([1, 2, 3]) == .unknown)
        #expect(DocumentKind.readable(.pdf).reason == nil)
    }
}

@Suite struct `Messages of quire-render` {
    @Test func `survive the way through the pipe`() throws {
        let header = FrameHeader(
            status: .image, number: 7, width: 1191, height: 1684, dpi: 144, microseconds: 123_456_789_012,
            payloadBytes: 6_016_932)
        #expect(header.bytes.count == FrameHeader.byteCount)
        #expect(FrameHeader(bytes: header.bytes) == header)
        #expect(FrameHeader(bytes: FrameHeader(status: .opened, number: 1, payloadBytes: 0).bytes)?.dpi == nil)
    }

    @Test func `are refused where magic, status, length or resolution are wrong`() {
        let good = FrameHeader(status: .image, number: 1, dpi: 300, payloadBytes: 3).bytes
        #expect(FrameHeader(bytes: good.dropLast()) == nil)
        for place in [0, 3, 4, 7] {
            var bad = good
            bad[place] ^= 0x5A
            #expect(FrameHeader(bytes: bad) == nil)
        }
        for dpi in [Double.nan, .infinity, -1] {
            #expect(FrameHeader(bytes: FrameHeader(status: .image, number: 1, dpi: dpi, payloadBytes: 3).bytes) == nil)
        }
    }

    @Test func `ask for what the child understands`() {
        let request = RenderRequest(
            .pages, first: 3, last: 9, hasPassword: true, limits: RenderLimits(secondsPerPage: 7), parent: 1234)
        #expect(RenderRequest(arguments: request.arguments) == request)
        #expect(RenderRequest(arguments: []) == nil)
        #expect(RenderRequest(arguments: ["pages"]) == nil)
        var reversed = request
        reversed.last = 2
        #expect(RenderRequest(arguments: reversed.arguments) == nil)
    }
}
