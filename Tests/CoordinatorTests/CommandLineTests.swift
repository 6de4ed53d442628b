import Glibc
import Shared
import SystemPackage
import TestSupport
import Testing

/// The real program, on what it must refuse before it touches anything.
@Suite struct `The command line of quire` {
    private static func quire(
        _ arguments: String..., environment: [String: String?] = [:]
    ) async throws -> ProgramOutcome {
        try await RunningProgram.run(RunningProgram.product("quire"), arguments, environment: environment)
    }

    @Test func `help teaches the commands and the exit codes`() async throws {
        let outcome = try await Self.quire("--help")
        #expect(outcome.status == 0)
        for word in [
            "run", "submit", "status", "export", "retry", "pause", "resume", "cancel", "migrate", "model", "doctor",
            "show", "worker", "priority", "prune", "upgrade-database", "take-over-database",
        ] {
            #expect(outcome.output.contains("\n  \(word) "), "\(word)")
        }
        #expect(outcome.output.contains("Exit codes:"))
        #expect(outcome.output.contains("4  interrupted"))
    }

    @Test(arguments: [
        "run", "submit", "status", "export", "retry", "pause", "resume", "cancel", "migrate", "doctor", "show",
        "worker", "priority", "prune", "upgrade-database", "take-over-database",
    ])
    func `every command has help with an example`(command: String) async throws {
        let outcome = try await Self.quire(command, "--help")
        #expect(outcome.status == 0)
        #expect(outcome.output.contains("quire \(command)"))
    }

    @Test(arguments: [
        ["nonsense"], ["submit"], ["run", "/tmp"], ["submit", "/nowhere/at/all"], ["submit", "/tmp", "--mode", "huge"],
        ["submit", "/tmp", "--prompt", "no place for the page"], ["submit", "/tmp", "--dpi", "1"],
        ["retry", "--page", "a.pdf"], ["retry", "--failed", "--document", "a.pdf"], ["run", "/tmp", "--workers", "0"],
        ["submit", "/tmp", "--root", "archive"], ["submit", "/tmp", "--weight", "0"], ["show", "a.pdf"],
        ["prune", "--results"], ["worker", "drain"],
    ])
    func `wrong usage exits with 2 and a sentence`(arguments: [String]) async throws {
        let home = try TemporaryDirectory()
        let outcome = try await RunningProgram.run(
            RunningProgram.product("quire"), arguments,
            environment: ["QUIRE_DATA": home.path.string, "QUIRE_OUT": nil, "HOME": home.path.string])
        #expect(outcome.status == 2, "\(outcome.errors)")
        #expect(!outcome.errors.isEmpty)
        #expect(outcome.output.isEmpty)
    }

    @Test func `a database that cannot be reached exits with 3 and shows no password`() async throws {
        let outcome = try await Self.quire(
            "status", environment: ["DATABASE_URL": "postgresql://someone:sesame@127.0.0.1:1/quire"])
        #expect(outcome.status == 3)
        #expect(outcome.errors.hasPrefix("quire: The database cannot be reached"))
        #expect(!outcome.errors.contains("sesame"))
    }

    @Test func `a model that is not there exits with 5 and is named`() async throws {
        let folder = try TemporaryDirectory()
        let outcome = try await Self.quire(
            "submit", folder.path.string, "--model", "/nowhere/model",
            environment: ["QUIRE_DATA": folder.path.string])
        #expect(outcome.status == 5)
        #expect(outcome.errors.contains("/nowhere/model"))
    }

    @Test func `results in the submitted folder are refused`() async throws {
        let folder = try TemporaryDirectory()
        let outcome = try await Self.quire("run", folder.path.string, "--out", folder.path.appending("out").string)
        #expect(outcome.status == 2)
        #expect(outcome.errors.contains("Choose another --out"))
    }
}
