import Glibc
import Rendering
import SystemPackage
import TestSupport
import Testing

@Suite struct `Looking into many documents` {
    /// An inspector whose children write their process ids into a file when they start.
    private struct Watched {
        let folder: TemporaryDirectory
        let inspector: DocumentInspector
        private let log: FilePath

        init(_ limits: RenderLimits = RenderLimits()) throws {
            folder = try TemporaryDirectory()
            log = folder.path.appending("children")
            let script = "#!/bin/sh\necho $$ >> \(log)\nexec \(try PageRenderer.underTest().executable) \"$@\"\n"
            let file = try folder.write(Array(script.utf8), as: "stand-in")
            #expect(file.withPlatformString { chmod($0, 0o700) } == 0)
            inspector = DocumentInspector(PageRenderer(executable: file, limits: limits))
        }

        /// The children so far, the oldest first.
        var children: [pid_t] { folder.text(of: log).split(separator: "\n").compactMap { pid_t($0) } }
    }

    private static let documents = [
        ("rgb8.png", DocumentSummary(format: .png, pageCount: 1)),
        ("pages5.tiff", DocumentSummary(format: .tiff, pageCount: 5)),
        ("rgb444.jpg", DocumentSummary(format: .jpeg, pageCount: 1)),
        ("big.tiff", DocumentSummary(format: .tiff, pageCount: 1)),
    ]

    @Test func `takes one child for a thousand, then another`() async throws {
        let watched = try Watched()
        for round in 0..<275 {
            for (name, summary) in Self.documents {
                #expect(try await watched.inspector.inspect(Fixture.path(name)) == summary, "\(name), round \(round)")
            }
        }
        #expect(watched.children.count == 2)
    }

    @Test func `reports no error but that of a child that has seen nothing else`() async throws {
        let watched = try Watched()
        let good = try watched.folder.write(HandmadePDF(pages: [.init(mediaBox: [0, 0, 9, 9])]).bytes, as: "good")
        let bad = [
            try watched.folder.write(Array("%PDF-1.4\nnothing".utf8), as: "bad.pdf"),
            try watched.folder.write(Array(try Fixture.bytes("rgb444.jpg").prefix(40)), as: "bad.jpg"),
            try watched.folder.write(Array(try Fixture.bytes("rgb8.tiff").prefix(7)), as: "bad.tiff"),
        ]
        for (index, file) in bad.enumerated() {
            #expect(try await watched.inspector.inspect(good).pageCount == 1)
            let alone = await #expect(throws: RenderError.self) { try await PageRenderer.underTest().inspect(file) }
            let error = await #expect(throws: RenderError.self) { try await watched.inspector.inspect(file) }
            #expect(error == alone && error?.kind == .damaged)
            #expect(watched.children.count == 2 * (index + 1))
        }
    }

    @Test func `gives each document its own password`() async throws {
        let watched = try Watched()
        let bytes = try Fixture.bytes("locked-aes256.pdf")
        let open = try watched.folder.write(bytes, as: "open.pdf")
        _ = try watched.folder.write(Array("sesame".utf8), as: "open.pdf.password")
        let wrong = try watched.folder.write(bytes, as: "wrong.pdf")
        _ = try watched.folder.write(Array("simsim".utf8), as: "wrong.pdf.password")
        let locked = try watched.folder.write(bytes, as: "locked.pdf")
        for _ in 0..<2 {
            #expect(try await watched.inspector.inspect(open).pageCount == 1)
            for file in [locked, wrong] {
                await #expect { try await watched.inspector.inspect(file) } throws: {
                    ($0 as? RenderError)?.kind == .locked
                }
            }
        }
    }

    @Test func `goes on where a child was killed between two documents`() async throws {
        let watched = try Watched()
        for round in 1...3 {
            #expect(try await watched.inspector.inspect(Fixture.path("pages5.tiff")).pageCount == 5)
            #expect(watched.children.count == round)
            if let last = watched.children.last { kill(last, SIGKILL) }
        }
    }

    @Test func `says which limit a document has passed`() async throws {
        let memory = try Watched(RenderLimits(memoryBytes: 128 << 20))
        #expect(try await memory.inspector.inspect(Fixture.path("pages5.tiff")).pageCount == 5)
        await #expect { try await memory.inspector.inspect(Fixture.path("endless-memory.pdf")) } throws: {
            ($0 as? RenderError)?.kind == .tooLarge && "\($0)".contains("raise --render-memory (now 128 MiB)")
        }
        let time = try Watched(RenderLimits(secondsPerPage: 3))
        _ = try? await time.inspector.inspect(Fixture.path("rgb8.png"))
        await #expect { try await time.inspector.inspect(Fixture.path("endless-time.pdf")) } throws: {
            ($0 as? RenderError)?.kind == .timedOut && "\($0)".contains("3 seconds: raise --render-seconds (now 3)")
        }
    }

    @Test func `leaves no child behind`() async throws {
        var children: [pid_t] = []
        do {
            let watched = try Watched()
            _ = try await watched.inspector.inspect(Fixture.path("rgb8.png"))
            children = watched.children
        }
        #expect(children.count == 1)
        for pid in children { #expect(kill(pid, 0) == -1 && errno == ESRCH) }
    }
}
