private import Dispatch
package import SystemPackage

#if canImport(Glibc)
    private import Glibc
#endif

/// How a program ended and what it wrote.
package struct ProgramOutcome: Sendable {
    /// The exit code; 128 + N where signal N ended the program.
    package var status: Int32
    package var output: String
    package var errors: String

    package var isSuccess: Bool { status == 0 }
}

/// A program that a test has started; killed if the test lets go of it.
package final class RunningProgram: Sendable {
    package let pid: Int32
    private let files: TemporaryDirectory
    private let exit: Task<Int32, Never>

    /// Starts a program found by its path.
    ///
    /// `environment` is added to that of the tests; nil takes a variable away.
    package init(
        _ program: FilePath, _ arguments: [String] = [], environment: [String: String?] = [:]
    ) throws {
        files = try TemporaryDirectory(prefix: "quire-program")
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // Dispatch's threads, which may run this, block signals; a child would inherit that.
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        let flags = O_WRONLY | O_CREAT | O_TRUNC
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, files.path.appending("output").string, flags, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, files.path.appending("errors").string, flags, 0o600)
        let argv = ([program.string] + arguments).map { strdup($0) } + [nil]
        let envp = Self.environment(adding: environment).map { strdup($0) } + [nil]
        defer { (argv + envp).forEach { free($0) } }
        var pid: pid_t = -1
        let error = posix_spawnp(&pid, program.string, &actions, &attributes, argv, envp)
        guard error == 0 else { throw Errno(rawValue: error) }
        self.pid = pid
        let child = pid
        // Unstructured: the program runs beside the test, which asks when it likes.
        exit = Task {
            await withCheckedContinuation { continuation in
                DispatchQueue(label: "wait-\(child)").async {
                    var status: Int32 = 0
                    while waitpid(child, &status, 0) == -1 && errno == EINTR {}
                    let signal = status & 0x7F
                    continuation.resume(returning: signal == 0 ? (status >> 8) & 0xFF : 128 + signal)
                }
            }
        }
    }

    deinit { kill(pid, SIGKILL) }

    /// What the program has written to its standard output until now.
    package var output: String { Self.read(files.path.appending("output")) }
    /// What the program has written to its standard error until now.
    package var errors: String { Self.read(files.path.appending("errors")) }

    /// Sends a signal, such as SIGTERM.
    package func send(signal: Int32) { kill(pid, signal) }

    /// Waits for the end; after `seconds` the program is killed.
    package func outcome(within seconds: Double = 120) async -> ProgramOutcome {
        let pid = pid
        let guardian = Task {
            try await Task.sleep(for: .seconds(seconds))
            kill(pid, SIGKILL)
        }
        let status = await exit.value
        guardian.cancel()
        return ProgramOutcome(status: status, output: output, errors: errors)
    }

    /// Starts a program and waits for its end.
    package static func run(
        _ program: FilePath, _ arguments: [String] = [], environment: [String: String?] = [:],
        within seconds: Double = 120
    ) async throws -> ProgramOutcome {
        let running = try RunningProgram(program, arguments, environment: environment)
        return await running.outcome(within: seconds)
    }

    /// The path of one of the package's own programs, such as `quire-worker`, built beside the tests.
    package static func product(_ name: String) -> FilePath {
        var buffer = [CChar](repeating: 0, count: 4097)
        guard readlink("/proc/self/exe", &buffer, buffer.count - 1) > 0 else { return FilePath(name) }
        return buffer.withUnsafeBufferPointer { bytes in
            bytes.baseAddress.map { FilePath(platformString: $0) } ?? ""
        }.removingLastComponent().appending(name)
    }

    private static func environment(adding changes: [String: String?]) -> [String] {
        var variables: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let pair = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if pair.count == 2 { variables[String(pair[0])] = String(pair[1]) }
            entry += 1
        }
        for (name, value) in changes { variables[name] = value }
        return variables.map { "\($0.key)=\($0.value)" }
    }

    private static func read(_ path: FilePath) -> String {
        guard let file = try? FileDescriptor.open(path, .readOnly) else { return "" }
        defer { try? file.close() }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while let count = try? buffer.withUnsafeMutableBytes({ try file.read(into: $0) }), count > 0 {
            bytes += buffer.prefix(count)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
