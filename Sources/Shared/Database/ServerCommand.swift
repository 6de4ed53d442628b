#if canImport(Glibc)
    private import Glibc
#endif

/// Runs one program to its end and collects what it says; blocks.
struct ServerCommand {
    struct Outcome: Sendable {
        /// The exit code; 128 + N where signal N ended the program.
        var status: Int32
        /// Standard output and standard error together.
        var output: String
    }

    /// The program and its arguments, as bytes.
    var arguments: [[UInt8]]
    /// Nothing is inherited.
    var environment: [String: String]
    /// A descriptor that the program, and what it starts, hold as number 3; all others are closed.
    var inherited: Int32?

    /// Throws `embeddedServer` where the program cannot be started.
    func run() throws(DatabaseError) -> Outcome {
        var ends: [Int32] = [-1, -1]
        // Unlike a pipe, a pair of sockets is closed in other children from the start.
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw .embeddedServer(reason: "There is no file descriptor left to start a program.")
        }
        defer { close(ends[0]) }
        let result = spawn(output: ends[1])
        close(ends[1])
        guard result.error == 0 else {
            let name = String(decoding: arguments.first ?? [], as: UTF8.self)
            throw .embeddedServer(reason: "\(name) cannot be started: \(String(cString: strerror(result.error))).")
        }
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(ends[0], &buffer, buffer.count)
            if count > 0 {
                output += buffer.prefix(count)
            } else if count == 0 || errno != EINTR {
                break
            }
        }
        var status: Int32 = 0
        while waitpid(result.pid, &status, 0) == -1 && errno == EINTR {}
        let signal = status & 0x7F
        return Outcome(
            status: signal == 0 ? (status >> 8) & 0xFF : 128 + signal, output: String(decoding: output, as: UTF8.self))
    }

    private func spawn(output: Int32) -> (pid: pid_t, error: Int32) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, output, 2)
        // Where it is number 3 already, this takes away that it is closed.
        if let inherited { posix_spawn_file_actions_adddup2(&actions, inherited, 3) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // Neither blocked nor ignored signals of this program may reach a server.
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        let variables = environment.sorted { $0.key < $1.key }.map { Array("\($0.key)=\($0.value)".utf8) }
        let argv = arguments.map { strdup($0.map { CChar(bitPattern: $0) } + [0]) } + [nil]
        let envp = variables.map { strdup($0.map { CChar(bitPattern: $0) } + [0]) } + [nil]
        defer { (argv + envp).forEach { free($0) } }
        var pid: pid_t = -1
        guard let program = argv[0] else { return (-1, EINVAL) }
        let error = posix_spawn(&pid, program, &actions, &attributes, argv, envp)
        return (pid, error)
    }
}
