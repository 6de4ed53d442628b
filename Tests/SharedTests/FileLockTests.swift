import Glibc
import Shared
import SystemPackage
import TestSupport
import Testing

/// Locks as file systems refuse them, with the real program and another flock before it.
@Suite struct FileLockTests {
    /// Runs `quire status` on a private database with a flock of the given body in C.
    private func status(flock body: String, at home: TemporaryDirectory) async throws -> ProgramOutcome {
        try home.makeFile(
            "flock.c",
            Array(
                """
                #define _GNU_SOURCE
                #include <errno.h>
                #include <fcntl.h>
                #include <sys/file.h>
                #include <sys/syscall.h>
                #include <unistd.h>
                int flock(int descriptor, int operation) {
                    \(body)
                    return syscall(SYS_flock, descriptor, operation);
                }
                """.utf8))
        let library = home.path.appending("flock.so").string
        let compiled = try await RunningProgram.run(
            "cc", ["-shared", "-fPIC", "-o", library, home.path.appending("flock.c").string])
        #expect(compiled.isSuccess, "\(compiled.errors)")
        return try await RunningProgram.run(
            RunningProgram.product("quire"), ["status"],
            environment: [
                "DATABASE_URL": nil, "QUIRE_DATA": home.path.appending("data").string, "HOME": home.path.string,
                "LD_PRELOAD": library,
            ], within: 60)
    }

    @Test(.enabled(if: Compiler.isThere, "there is no C compiler"))
    func `a file system that locks only what may be written, as NFS, is no obstacle`() async throws {
        let outcome = try await status(
            flock: """
                if ((operation & LOCK_EX) && (fcntl(descriptor, F_GETFL) & O_ACCMODE) == O_RDONLY) {
                    errno = EBADF;
                    return -1;
                }
                """, at: try TemporaryDirectory())
        #expect(outcome.isSuccess, "\(outcome.errors)")
    }

    @Test(.enabled(if: Compiler.isThere, "there is no C compiler"), arguments: ["ENOLCK", "EBADF"])
    func `locks that do not work are said at once, with what failed`(error: String) async throws {
        let outcome = try await status(
            flock: "if (descriptor >= 0) { errno = \(error); return -1; }", at: try TemporaryDirectory())
        #expect(outcome.status == 3)
        #expect(outcome.errors.contains("start.lock cannot be locked"))
        #expect(outcome.errors.contains("Network file systems"))
        #expect(!outcome.errors.contains("Another program"))
    }

    @Test(.enabled(if: Compiler.isThere, "there is no C compiler"))
    func `an interrupted call is tried again`() async throws {
        let outcome = try await status(
            flock: """
                static int calls;
                if (calls++ % 2 == 0) {
                    errno = EINTR;
                    return -1;
                }
                """, at: try TemporaryDirectory())
        #expect(outcome.isSuccess, "\(outcome.errors)")
    }
}

enum Compiler {
    static let isThere = FilePath("/usr/bin/cc").withPlatformString { access($0, X_OK) } == 0
}
