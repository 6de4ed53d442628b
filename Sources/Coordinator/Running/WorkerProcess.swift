private import CProcess
private import Dispatch
private import Glibc
internal import Shared
private import Synchronization
package import SystemPackage

/// A `quire-worker` that this program has started.
package final class WorkerProcess: Sendable {
    /// How a worker ended.
    package enum End: Sendable, Equatable {
        case exited(Int32)
        case signalled(Int32)

        package var sentence: String {
            switch self {
            case .exited(let code): "ended with exit code \(code)"
            case .signalled(let number): "was ended by signal \(number) (\(String(cString: strsignal(number))))"
            }
        }
    }

    package let name: String
    package let pid: Int32
    package let started = ContinuousClock.now
    /// Nil while the process number is ours: only then may it be signalled, as the kernel uses numbers again.
    private let end = Mutex<End?>(nil)
    private let output = Output()

    /// Starts a program in a process group of its own, so that Ctrl-C in a terminal leaves its page alone.
    ///
    /// `environment` is all that it gets, as bytes `NAME=value`. Throws where the program cannot be started.
    package init(
        name: String, executable: FilePath, arguments: [[UInt8]], environment: [[UInt8]], log: WorkerLog
    ) throws(CommandFailure) {
        self.name = name
        var ends: [Int32] = [-1, -1]
        guard quire_pipe(&ends) == 0 else { throw Self.failure(executable, errno) }
        // Far above the numbers that the child gets, so that none is overwritten before it is used.
        let writing = fcntl(ends[1], F_DUPFD_CLOEXEC, 16)
        close(ends[1])
        var pid: pid_t = 0
        let argv = Self.strings([executable.bytes] + arguments)
        let envp = Self.strings(environment)
        defer { (argv + envp).forEach { free($0) } }
        let failure =
            writing < 0
            ? errno : executable.withPlatformString { quire_spawn(&pid, $0, argv, envp, [writing, writing], 2) }
        close(writing)
        guard failure == 0 else {
            close(ends[0])
            throw Self.failure(executable, failure)
        }
        self.pid = pid
        output.copy(from: FileDescriptor(rawValue: ends[0]), to: log, worker: name)
    }

    deinit { _ = ended() }

    /// How it ended; nil while it runs.
    package func ended() -> End? {
        end.withLock { end in
            if let end { return end }
            var status: Int32 = 0
            let reaped = waitpid(pid, &status, WNOHANG)
            guard reaped != 0, !(reaped < 0 && errno == EINTR) else { return nil }
            let signal = status & 0x7F
            let result: End = reaped < 0 ? .exited(0) : signal == 0 ? .exited(status >> 8 & 0xFF) : .signalled(signal)
            end = result
            return result
        }
    }

    /// Whether all that it said is in the log.
    package var hasSaidAll: Bool { output.hasEnded.load(ordering: .acquiring) }

    /// Asks it to finish the page in hand and leave; the second time to give that page back.
    package func drain() { send(SIGTERM) }

    /// Ends it at once.
    package func kill() { send(SIGKILL) }

    private func send(_ signal: Int32) {
        end.withLock { end in
            if end == nil { _ = Glibc.kill(pid, signal) }
        }
    }

    private static func strings(_ values: [[UInt8]]) -> [UnsafeMutablePointer<CChar>?] {
        values.map { strdup($0.map { CChar(bitPattern: $0) } + [0]) } + [nil]
    }

    private static func failure(_ executable: FilePath, _ number: Int32) -> CommandFailure {
        CommandFailure(
            .workers,
            """
            \(executable.displayText) cannot be started: \(String(cString: strerror(number))). Build it (swift build) or install it \
            beside this program.
            """)
    }
}

/// What a worker says, on its way into the log.
private final class Output: Sendable {
    let hasEnded = Atomic<Bool>(false)

    /// Reads what the worker says, until it ends, on a thread of its own: reading blocks.
    func copy(from pipe: FileDescriptor, to log: WorkerLog, worker: String) {
        DispatchQueue(label: "quire.worker-output").async { [self] in
            defer {
                try? pipe.close()
                hasEnded.store(true, ordering: .releasing)
            }
            var rest: [UInt8] = []
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 16)
            defer { buffer.deallocate() }
            while let count = try? pipe.read(into: buffer), count > 0 {
                rest += buffer.prefix(count)
                while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                    log.add(String(decoding: rest[..<end], as: UTF8.self), worker: worker)
                    rest.removeFirst(end + 1)
                }
                if rest.count > 1 << 16 { rest.removeAll() }
            }
            if !rest.isEmpty { log.add(String(decoding: rest, as: UTF8.self), worker: worker) }
        }
    }
}
