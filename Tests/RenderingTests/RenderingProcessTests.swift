import FoundationEssentials
import Glibc
import Rendering
import SystemPackage
import TestSupport
import Testing

@Suite struct `Rendering processes` {
    private static let page = HandmadePDF.Page(mediaBox: [0, 0, 800, 800], content: "0 0 0 rg 0 0 400 400 re f")

    @Test func `open files whose names are no text`() async throws {
        let folder = try TemporaryDirectory()
        let renderer = try PageRenderer.underTest()
        for name: [UInt8] in [[0xFF, 0xFE, 0x80, 0x2E, 0x70], [0x67, 0x72, 0xFC, 0x6E], Array("a b\n'$(x)".utf8)] {
            let file = try folder.write(try Fixture.bytes("rgb8.png"), as: name)
            #expect(try await renderer.inspect(file) == DocumentSummary(format: .png, pageCount: 1))
            #expect(try await renderer.image(file).width == 37)
        }
        let locked = try folder.write(try Fixture.bytes("locked-aes256.pdf"), as: [0xE4, 0xF6])
        _ = try folder.write(Array("sesame".utf8), as: [0xE4, 0xF6] + Array(".password".utf8))
        #expect(try await renderer.inspect(locked).pageCount == 1)
    }

    @Test func `refuse what is no regular file, is missing, empty or of another kind`() async throws {
        let folder = try TemporaryDirectory()
        let renderer = try PageRenderer.underTest()
        let fifo = folder.path.appending("fifo")
        #expect(fifo.withPlatformString { mkfifo($0, 0o600) } == 0)
        let cases: [(FilePath, RenderError.Kind, String)] = [
            (fifo, .unopenable, "regular file"), (folder.path, .unopenable, "regular file"),
            (folder.path.appending("missing"), .unopenable, "No such file"),
            (try folder.write([], as: "empty"), .damaged, "empty"),
            (try folder.write(Array("hello".utf8), as: "text"), .damaged, "no PDF"),
            (try folder.write([0x50, 0x4B, 3, 4, 0], as: "zip"), .damaged, "ZIP"),
        ]
        for (file, kind, words) in cases {
            let error = try await renderer.failure(file)
            #expect(error.kind == kind && error.message.contains(words), "\(error)")
            await #expect(throws: error) { try await renderer.inspect(file) }
        }
    }

    @Test func `that cannot open a document give every page its error`() async throws {
        let folder = try TemporaryDirectory()
        let file = try folder.write(Array("%PDF-1.4\nnothing".utf8), as: "a.pdf")
        let pages = try await PageRenderer.underTest().pages(file, 3...7)
        #expect(pages.map(\.page) == [3, 4, 5, 6, 7])
        #expect(pages.allSatisfy { $0.errorKind == .damaged })
    }

    /// Process ids of children that have the file open as their document.
    private func children(on file: FilePath) -> [pid_t] {
        guard let proc = opendir("/proc") else { return [] }
        defer { closedir(proc) }
        var found: [pid_t] = []
        while let entry = readdir(proc) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard let pid = pid_t(name), pid != getpid() else { continue }
            var target = [CChar](repeating: 0, count: 4096)
            if readlink("/proc/\(pid)/fd/3", &target, target.count - 1) > 0,
                FilePath(platformString: target) == file
            {
                found.append(pid)
            }
        }
        return found
    }

    @Test func `that are killed from outside cost one page`() async throws {
        let folder = try TemporaryDirectory()
        let file = try folder.write(HandmadePDF(pages: Array(repeating: Self.page, count: 8)).bytes, as: "eight.pdf")
        let session = try PageRenderer.underTest().session(file, pages: 1...8)
        var pages = [try #require(await session.next())]
        let victims = children(on: file)
        #expect(victims.count == 1)
        for pid in victims { kill(pid, SIGKILL) }
        while let page = await session.next() { pages.append(page) }
        #expect(pages.map(\.page) == Array(1...8))
        #expect(pages.compactMap(\.errorKind) == [.interrupted])
        #expect(children(on: file).isEmpty)
    }

    /// A page whose drawing calls itself so often that it never ends.
    private func endless(at place: Int, of count: Int) -> HandmadePDF {
        let levels = 12
        let calls = String(repeating: "/X Do ", count: 20)
        var objects: [(String, [UInt8])] = (0..<levels).map { level in
            (
                "/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources <</XObject <</X \(level + 4) 0 R>>>>",
                Array(calls.utf8)
            )
        }
        objects.append(("/Type /XObject /Subtype /Form /BBox [0 0 9 9]", Array("0 0 1 1 re f".utf8)))
        var pages = Array(
            repeating: HandmadePDF.Page(mediaBox: [0, 0, 100, 100], content: "0 0 9 9 re f"), count: count)
        pages[place].content = "/X Do"
        return HandmadePDF(pages: pages, resources: "/XObject <</X 3 0 R>>", objects: objects)
    }

    @Test func `that take too long cost one page`() async throws {
        let folder = try TemporaryDirectory()
        let file = try folder.write(endless(at: 1, of: 4).bytes, as: "endless.pdf")
        let pages = try await PageRenderer.underTest(RenderLimits(secondsPerPage: 5)).pages(file, 1...4)
        #expect(pages.map(\.errorKind) == [nil, .timedOut, nil, nil])
        #expect(children(on: file).isEmpty)
    }

    @Test func `end when a session is cancelled or dropped`() async throws {
        let folder = try TemporaryDirectory()
        let file = try folder.write(HandmadePDF(pages: Array(repeating: Self.page, count: 50)).bytes, as: "fifty.pdf")
        let renderer = try PageRenderer.underTest()
        let session = renderer.session(file, pages: 1...50)
        #expect(await session.next()?.page == 1)
        await session.cancel()
        #expect(await session.next() == nil)
        do {
            let dropped = renderer.session(file, pages: 1...50)
            #expect(await dropped.next()?.page == 1)
        }
        let task = Task { () -> Int in
            let session = renderer.session(file, pages: 1...50)
            var count = 0
            while await session.next() != nil { count += 1 }
            return count
        }
        task.cancel()
        #expect(await task.value < 50)
        for _ in 0..<500 where !children(on: file).isEmpty { usleep(20_000) }
        #expect(children(on: file).isEmpty)
    }

    @Test func `leave neither descriptors nor dead children behind`() async throws {
        let renderer = try PageRenderer.underTest()
        let folder = try TemporaryDirectory()
        let good = try folder.write(try Fixture.bytes("grey1.png"), as: "leak-good")
        let bad = try folder.write(Array("%PDF-1.4".utf8), as: "leak-bad")
        let before = openDescriptors()
        for _ in 0..<150 {
            _ = try await renderer.image(good)
            _ = await renderer.pages(bad, 1...2)
        }
        // Other tests open some meanwhile; a leak would be some hundreds.
        #expect(openDescriptors() < before + 100)
        #expect(zombies() < 20)
    }

    private func openDescriptors() -> Int { (0..<4096).count { fcntl($0, F_GETFD) >= 0 } }

    private func zombies() -> Int {
        guard let proc = opendir("/proc") else { return 0 }
        defer { closedir(proc) }
        var count = 0
        while let entry = readdir(proc) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard let pid = pid_t(name), let stat = try? Fixture.readAll(FilePath("/proc/\(pid)/stat")) else {
                continue
            }
            // "pid (name) state parent ..."
            let fields = String(decoding: stat, as: UTF8.self).split(separator: ")").last?.split(separator: " ") ?? []
            if fields.count > 1, fields[0] == "Z", fields[1] == "\(getpid())" { count += 1 }
        }
        return count
    }

    @Test func `that are missing or answer nonsense are told apart from bad documents`() async throws {
        let missing = PageRenderer(executable: "/nowhere/quire-render")
        let error = try await missing.failure(Fixture.path("rgb8.png"))
        #expect(error.kind == .machine && error.message.contains("/nowhere/quire-render") && !error.isPermanent)
        let other = PageRenderer(executable: "/bin/echo")
        #expect(try await other.failure(Fixture.path("rgb8.png")).kind == .broken)
        await #expect(throws: RenderError.self) { try await missing.selfTest() }
    }

    /// A script that starts the true program, or something else, in its place.
    private func standIn(_ script: String, in folder: TemporaryDirectory) throws -> PageRenderer {
        let file = try folder.write(Array("#!/bin/sh\n\(script)\n".utf8), as: "stand-in")
        #expect(file.withPlatformString { chmod($0, 0o700) } == 0)
        return PageRenderer(executable: file)
    }

    @Test func `never pass a page off as blank for want of fonts`() async throws {
        let folder = try TemporaryDirectory()
        let fonts = try folder.write(Array("<fontconfig><dir>/nowhere</dir></fontconfig>".utf8), as: "fonts.conf")
        let renderer = try standIn(
            "FONTCONFIG_FILE=\(fonts) exec \(try PageRenderer.underTest().executable) \"$@\"", in: folder)
        await #expect {
            try await renderer.selfTest()
        } throws: { ($0 as? RenderError)?.message.contains("fonts-liberation") == true }
        let pdf = HandmadePDF(
            pages: [.init(mediaBox: [0, 0, 200, 50], content: "BT /F 30 Tf 10 10 Td (Archive) Tj ET"), Self.page],
            resources: "/Font <</F <</Type /Font /Subtype /Type1 /BaseFont /Courier>>>>")
        let pages = await renderer.pages(try folder.write(pdf.bytes, as: "a.pdf"), 1...2)
        #expect(pages.map(\.errorKind) == [.broken, nil])
    }

    @Test func `call a damaged font damaged, where the machine has fonts`() async throws {
        let folder = try TemporaryDirectory()
        let descriptor = "/Type /FontDescriptor /FontName /ABCDEF+Own /Flags 4 /FontBBox [0 0 9 9] /FontFile2 3 0 R"
        let font =
            "/Type /Font /Subtype /TrueType /BaseFont /ABCDEF+Own /FirstChar 65 /LastChar 65 /Widths [600] "
            + "/FontDescriptor <<\(descriptor)>>"
        let pdf = HandmadePDF(
            pages: [.init(mediaBox: [0, 0, 200, 50], content: "BT /F 30 Tf 10 10 Td (AAAA) Tj ET")],
            resources: "/Font <</F <<\(font)>>>>",
            objects: [("/Length1 4000", Array(repeating: 0, count: 4000))])
        let page = try #require(
            await PageRenderer.underTest().pages(try folder.write(pdf.bytes, as: "a.pdf")).first)
        // Drawn in another font or not at all, it is not the machine's fault.
        if case .failure(let error) = page.result {
            #expect(error.kind == .damaged && !error.message.contains("install"), "\(error)")
        }
    }

    @Test(arguments: [
        "head -c 48 /dev/zero", "exit 3", "printf DNRQ", "echo words >&2; exit 127", "head -c 100000 /dev/urandom",
    ])
    func `that do not keep to the agreement are found out`(script: String) async throws {
        let folder = try TemporaryDirectory()
        let renderer = try standIn(script, in: folder)
        await #expect { try await renderer.inspect(Fixture.path("rgb8.png")) } throws: {
            ($0 as? RenderError)?.kind == .broken
        }
    }

    @Test func `that claim impossible sizes are found out`() async throws {
        let folder = try TemporaryDirectory()
        let opened = FrameHeader(status: .opened, number: 1, width: 2, payloadBytes: 0).bytes
        let claims = [
            FrameHeader(status: .image, number: 1, width: 20_000, height: 20_000, payloadBytes: 1_200_000_000),
            FrameHeader(status: .image, number: 1, width: 10, height: 10, payloadBytes: 299),
            FrameHeader(status: .image, number: 2, width: 10, height: 10, payloadBytes: 300),
            FrameHeader(status: .image, number: 1, width: 0, height: 10, payloadBytes: 0),
            FrameHeader(status: .damaged, number: 1, payloadBytes: 1 << 40),
        ]
        for claim in claims {
            let said = try folder.write(opened + claim.bytes + [UInt8](repeating: 0, count: 4096), as: "said")
            let renderer = try standIn("cat \(said)", in: folder)
            #expect(try await renderer.failure(Fixture.path("rgb8.png")).kind == .broken, "\(claim)")
        }
    }
}
