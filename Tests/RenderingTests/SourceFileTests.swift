import Digest
import Glibc
import Rendering
import SystemPackage
import TestSupport
import Testing

/// From hash to pixels through one descriptor.
@Suite struct SourceFileTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    private func pages(_ count: Int, ink: String = "0 0 0 rg") -> [UInt8] {
        HandmadePDF(
            pages: Array(
                repeating: .init(mediaBox: [0, 0, 800, 800], content: "\(ink) 0 0 400 400 re f"), count: count)
        ).bytes
    }

    private func digest(_ source: SourceFile) throws -> SHA256Digest {
        try SHA256.hash { buffer, offset throws(RenderError) in try source.read(into: buffer, at: offset) }
    }

    @Test func `what is hashed, counted and drawn stays the opened file, whatever its name leads to`() async throws {
        let old = pages(2)
        let file = try folder.write(old, as: "a.pdf")
        let source = try SourceFile(file)
        let renamed = folder.path.appending("b.pdf")
        #expect(rename(file.string, renamed.string) == 0)
        _ = try folder.write(pages(3, ink: "1 0 0 rg"), as: "a.pdf")
        // Its name is no part of the content, though a rename shows in the times of some file systems.
        let opened = try SourceFile(renamed)
        #expect(opened.identity.inode == source.identity.inode)
        #expect(try digest(source) == SHA256.hash(old))
        let renderer = try PageRenderer.underTest()
        #expect(try await renderer.inspect(opened).pageCount == 2)
        let session = renderer.session(opened, pages: 1...2)
        #expect(session.pageCount == nil)
        #expect(try #require(await session.next()).result.get().pixel(10, 1590) == [0, 0, 0])
        #expect(session.pageCount == 2)
    }

    @Test func `a file that is written to gives no further page, and none of its failures is believed`() async throws {
        let file = try folder.write(pages(20), as: "a.pdf")
        let source = try SourceFile(file)
        let session = try PageRenderer.underTest().session(source, pages: 1...20)
        #expect(await session.next()?.errorKind == nil)
        // In place and of the same size, as a scanner that saves again does it.
        let descriptor = try FileDescriptor.open(file, .writeOnly)
        try descriptor.closeAfter { _ = try descriptor.writeAll(toAbsoluteOffset: 0, pages(20, ink: "1 1 0 rg")) }
        var kinds: [RenderError.Kind?] = []
        while let page = await session.next() { kinds.append(page.errorKind) }
        #expect(kinds == Array(repeating: .changed, count: 19))
        #expect(throws: RenderError.self) { try source.checkUnchanged() }
        // What is cut off while it is read looks like damage, and is none.
        let cut = try SourceFile(file)
        #expect(truncate(file.string, 30) == 0)
        await #expect { try await PageRenderer.underTest().inspect(cut) } throws: {
            ($0 as? RenderError)?.kind == .changed
        }
    }

    @Test func `young times cannot tell a write from none`() {
        let second: Int64 = 1_000_000_000
        func isYoung(modified: Int64, changed: Int64) -> Bool {
            FileIdentity(device: 1, inode: 1, size: 1, modifiedNanoseconds: modified, changedNanoseconds: changed)
                .isYoung(at: 100_000 * second)
        }
        #expect(!isYoung(modified: 5, changed: 99_997 * second))
        #expect(isYoung(modified: 5, changed: 99_999 * second))
        #expect(isYoung(modified: 99_999 * second, changed: 5))
        #expect(isYoung(modified: 5, changed: 100_003 * second), "another machine's clock is ahead")
        #expect(!isYoung(modified: 200_000 * second, changed: 5), "somebody set it")
    }

    @Test func `errors say whose failure they are`() async throws {
        let renderer = try PageRenderer.underTest()
        let text = try folder.write(Array("hello".utf8), as: "text")
        #expect(try await renderer.failure(text).fault == .content)
        #expect(try await renderer.failure(folder.path.appending("missing")).fault == .fileOrMount)
        let locked = try folder.write(try Fixture.bytes("locked-aes256.pdf"), as: "locked.pdf")
        #expect(try await renderer.failure(locked).fault == .file)
        let png = Fixture.path("rgb8.png")
        #expect(try await PageRenderer(executable: "/nowhere/quire-render").failure(png).fault == .machine)
        #expect(try await PageRenderer(executable: "/bin/echo").failure(png).fault == .rendererOrContent)
    }
}
