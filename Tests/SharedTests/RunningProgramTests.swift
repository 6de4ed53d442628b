import SystemPackage
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite struct RunningProgramTests {
    @Test func `output, errors and the exit code are kept apart`() async throws {
        let outcome = try await RunningProgram.run(
            "/bin/sh", ["-c", "echo $WORD; echo bad >&2; exit 3"], environment: ["WORD": "good"])
        #expect(outcome.status == 3 && outcome.output == "good\n" && outcome.errors == "bad\n")
    }

    @Test func `a program is killed by a signal or by its time`() async throws {
        let program = try RunningProgram("/bin/sleep", ["1000"])
        program.send(signal: SIGTERM)
        #expect(await program.outcome().status == 128 + SIGTERM)
        #expect(try await RunningProgram.run("/bin/sleep", ["1000"], within: 0.1).status == 128 + SIGKILL)
    }
}
