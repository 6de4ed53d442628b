import Rendering
import Testing

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
