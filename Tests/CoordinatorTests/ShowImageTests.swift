import Coordinator
import Digest
import Glibc
import Rendering
import Shared
import SystemPackage
import TestSupport
import Testing

/// `quire show --image` as a person starts it.
@Suite struct ShowImageTests {
    private let fixture: ExportFixture
    private let file: FilePath

    private static let pdf = Array(
        """
        %PDF-1.4
        1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj
        2 0 obj <</Type /Pages /Kids [3 0 R] /Count 1>> endobj
        3 0 obj <</Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] /Contents 4 0 R>> endobj
        4 0 obj <</Length 33>> stream
        0 0 0 rg 20 30 51 40 re f
        endstream endobj
        trailer <</Root 1 0 R>>
        %%EOF

        """.utf8)

    init() async throws {
        fixture = try await ExportFixture()
        file = try fixture.scratch.write(Self.pdf, as: "a.pdf")
        var location = file
        location.root = nil
        try await fixture.add(
            location, .document(sha256: SHA256.hash(Self.pdf), format: .pdf, pageCount: 1))
    }

    private func show(_ arguments: String...) async throws -> ProgramOutcome {
        try await RunningProgram.run(
            RunningProgram.product("quire"), ["show", "a.pdf:1"] + arguments,
            environment: [
                "DATABASE_URL": fixture.connectionString, "QUIRE_CONFIG": nil, "XDG_CONFIG_HOME": "/nonexistent",
            ])
    }

    private func image(_ file: FilePath, dpi: Int? = nil) async throws -> PageImage {
        let renderer = PageRenderer(executable: RunningProgram.product("quire-render"))
        return try #require(await renderer.session(file, pages: 1...1, pdfDPI: dpi).next()).result.get()
    }

    @Test func `writes the pixels that the model is given`() async throws {
        let png = fixture.scratch.path.appending("page.png")
        let result = try await show("--image", png.string)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output.hasPrefix("400 x 200 pixels, 144 dpi, of \(file)\n"), "\(result.output)")
        let (written, wanted) = (try await image(png), try await image(file))
        #expect((written.width, written.height) == (400, 200))
        #expect(written.bytes == wanted.bytes && wanted.bytes.contains(0))
        // Again, over the file that is there.
        #expect(try await show("--image", png.string).status == 0)
        #expect(try await image(png).bytes == wanted.bytes)
    }

    @Test func `says where the recognised picture had another size`() async throws {
        try await fixture.record { _ in ExportFixture.text("Words") }
        let png = fixture.scratch.path.appending("page.png")
        let result = try await show("--image", png.string)
        #expect(result.status == 0)
        #expect(result.output.contains("was recognised from 512 x 724 pixels"), "\(result.output)")
    }

    @Test func `refuses a file that has changed or is gone, and writes nothing`() async throws {
        let png = fixture.scratch.path.appending("page.png")
        _ = try fixture.scratch.write(Self.pdf + [10], as: "a.pdf")
        let changed = try await show("--image", png.string)
        #expect(changed.status == 1, "\(changed.errors)")
        #expect(changed.errors.contains("has changed since it was submitted"), "\(changed.errors)")
        #expect(file.withPlatformString { unlink($0) } == 0)
        let gone = try await show("--image", png.string)
        #expect(gone.status == 1 && gone.errors.contains("cannot be opened"), "\(gone.errors)")
        #expect(png.withPlatformString { access($0, F_OK) } != 0)
    }

    @Test func `leaves alone what is no regular file`() async throws {
        try fixture.scratch.makeFolder("folder")
        let target = fixture.scratch.path.appending("folder")
        for path in [target.string, fixture.scratch.path.appending("none/page.png").string] {
            let result = try await show("--image", path)
            #expect(result.status == 8, "\(result.errors)")
        }
        let both = try await show("--image", "x.png", "--json")
        #expect(both.status == 2 && both.errors.contains("only one of"))
        let small = try await show("--image", "x.png", "--max-pixels", "12")
        #expect(small.status == 2 && small.errors.contains("--max-pixels is '12'"), "\(small.errors)")
    }
}
