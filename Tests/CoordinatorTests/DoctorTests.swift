import Coordinator
import Glibc
import Shared
import SystemPackage
import TestSupport
import Testing

@Suite struct DoctorTests {
    private let temporary: TemporaryDirectory

    init() throws { temporary = try TemporaryDirectory() }

    /// Settings that see nothing of this machine's user.
    private func settings(_ added: [String: String] = [:]) throws -> Settings {
        let base = [
            "HOME": temporary.path.string, "QUIRE_DATA": temporary.path.appending("data").string,
            "QUIRE_MODEL": FilePath.package().appending("models/quire-nano").string,
        ]
        return try Settings(environment: base.merging(added) { $1 })
    }

    private func findings(_ doctor: Doctor) async -> [String: Doctor.Finding] {
        var findings: [String: Doctor.Finding] = [:]
        for await finding in doctor.findings() { findings[finding.subject] = finding }
        return findings
    }

    private var programs: FilePath { RunningProgram.product("quire-worker").removingLastComponent() }

    @Test func `Where all is there, all is right`() async throws {
        let database = try await TestPostgres.shared.makeDatabase()
        let found = await findings(Doctor(settings: try settings(["DATABASE_URL": database]), programs: programs))
        #expect(Set(found.keys) == ["device", "database", "queue", "disk", "renderer", "fonts", "worker", "model"])
        for finding in found.values { #expect(finding.isRight, "\(finding)") }
        #expect(found["database"]?.text.contains("up to date") == true)
        #expect(found["model"]?.text.contains("8 531 872 parameters") == true)
        #expect(found["device"]?.text.contains("kernels for") == true)
        #expect(found["device"]?.text.contains("GPU") == true)
    }

    @Test func `A database without tables is only looked at`() async throws {
        let url = try await TestPostgres.shared.makeDatabase(migrated: false)
        let found = await findings(Doctor(settings: try settings(["DATABASE_URL": url]), programs: programs))
        #expect(found["database"]?.isRight == false)
        #expect(found["database"]?.text.contains("quire migrate") == true)
        let database = Database(connectionString: url)
        #expect(try await database.query("SELECT FROM pg_namespace WHERE nspname = 'quire'").isEmpty)
        await database.close()
    }

    @Test func `Each thing that is missing gets a line that says what to do`() async throws {
        let empty = temporary.path.appending("empty")
        empty.makeDirectory()
        let doctor = Doctor(
            settings: try settings([
                "DATABASE_URL": "postgresql://quire:secret@127.0.0.1:1/quire?connect_timeout=2",
                "QUIRE_MODEL": empty.string,
            ]), programs: empty)
        let found = await findings(doctor)
        for subject in ["database", "renderer", "worker", "model"] {
            #expect(found[subject]?.isRight == false, "\(subject)")
        }
        #expect(found["database"]?.text.contains("secret") == false)
        #expect(found["worker"]?.text.contains("install it beside quire") == true)
        #expect(found["model"]?.text.contains("config.json") == true)
        #expect(found["model"]?.description.hasPrefix("wrong  model     ") == true)
    }

    @Test func `Fonts that are missing for a script are named with their package, and are no fault`() async throws {
        let folder = temporary.path.appending("programs")
        try temporary.makeFolder("programs")
        // Latin letters alone.
        let fonts = "<fontconfig><dir>/usr/share/fonts/truetype/liberation</dir></fontconfig>"
        try temporary.makeFile("fonts.conf", Array(fonts.utf8))
        let script = """
            #!/bin/sh
            FONTCONFIG_FILE=\(temporary.path.appending("fonts.conf")) exec \(programs.appending("quire-render")) "$@"

            """
        try temporary.makeFile("programs/quire-render", Array(script.utf8))
        #expect(folder.appending("quire-render").withPlatformString { chmod($0, 0o700) } == 0)
        let database = try await TestPostgres.shared.makeDatabase()
        let found = await findings(Doctor(settings: try settings(["DATABASE_URL": database]), programs: folder))
        let finding = try #require(found["fonts"])
        #expect(finding.isRight && finding.isNote && finding.description.hasPrefix("note   fonts     "), "\(finding)")
        for line in [
            "simplified Chinese: apt install fonts-wqy-microhei", "traditional Chinese: apt install fonts-arphic-uming",
            "Japanese: apt install fonts-ipafont-gothic", "Korean: apt install fonts-nanum",
            "Arabic: apt install fonts-dejavu-core", "fonts-noto-cjk",
        ] {
            #expect(finding.text.contains(line), "\(finding.text)")
        }
        #expect(found["renderer"]?.isRight == true)
    }

    @Test func `A limit of rendering that is none is told of the renderer`() async throws {
        let doctor = Doctor(settings: try settings(["QUIRE_RENDER_MEMORY": "lots"]), programs: programs)
        let found = await findings(doctor)
        #expect(found["renderer"]?.isRight == false)
        #expect(found["renderer"]?.text.contains("QUIRE_RENDER_MEMORY is 'lots'") == true)
    }
}
