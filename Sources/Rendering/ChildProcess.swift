private import CProcess
private import Glibc
private import Synchronization
import SystemPackage

/// A started program: its output, its error output and its end; killed and reaped at the latest with this object.
final class ChildProcess: Sendable {
    /// How a program ended.
    enum End: Sendable, Equatable {
        case exited(Int32)
        case signalled(Int32)
    }

    private let pid: pid_t
    let output: Descriptor
    let errors: Descriptor
    /// Nil while the process id is ours: only then may it be signalled, since the kernel reuses the number later.
    private let end = Mutex<End?>(nil)

    /// Environment that a child needs for fonts and messages; nothing else, credentials least of all, is passed on.
    private static let passedOn = [
        "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
        "FONTCONFIG_FILE", "FONTCONFIG_PATH", "FONTCONFIG_SYSROOT",
    ]

    private init(pid: pid_t, output: consuming Descriptor, errors: consuming Descriptor) {
        self.pid = pid
        self.output = output
        self.errors = errors
    }

    deinit {
        kill()
        _ = wait()
    }

    /// Starts a program that has nothing of ours but `input` as descriptor 3 and `password` as descriptor 4.
    ///
    /// It gets a process group of its own, so that Ctrl-C in a terminal leaves the page in progress alone.
    static func start(
        _ executable: FilePath, arguments: [String], input: borrowing Descriptor,
        password: borrowing Descriptor
    ) throws(RenderError) -> ChildProcess {
        let outputPipe = try Pipe()
        let errorPipe = try Pipe()
        quire_pipe_capacity(outputPipe.reading.raw, 1 << 20)
        // Copies far above the numbers that the child gets, so that no number is overwritten before it is used.
        let output = try outputPipe.writing.duplicate()
        let errors = try errorPipe.writing.duplicate()
        let document = try input.duplicate()
        let secret = try password.duplicate()
        let descriptors = [output.raw, errors.raw, document.raw, secret.raw]
        let environment =
            passedOn.compactMap { name in getenv(name).map { "\(name)=\(String(cString: $0))" } }
            // A crash is told by its signal; Swift's own report would take seconds.
            + ["SWIFT_BACKTRACE=enable=no"]

        let started = SpawnThread.shared.run { () -> (failure: Int32, pid: pid_t) in
            let arguments = CStrings(["quire-render"] + arguments)
            let environment = CStrings(environment)
            var pid: pid_t = 0
            let failure = executable.withPlatformString { path in
                quire_spawn(
                    &pid, path, arguments.pointers, environment.pointers, descriptors, Int32(descriptors.count))
            }
            return (failure, pid)
        }
        guard started.failure == 0 else {
            throw RenderError(
                .machine,
                "quire-render cannot be started (\(executable)): \(String(cString: strerror(started.failure))). "
                    + "Build it (swift build) or install it beside this program.")
        }
        return ChildProcess(
            pid: started.pid, output: outputPipe.takeReading(), errors: errorPipe.takeReading())
    }

    /// Ends the program at once; does nothing where it has been reaped.
    func kill() {
        end.withLock { end in
            if end == nil { _ = Glibc.kill(pid, SIGKILL) }
        }
    }

    /// Address space in use now, bytes; nil where the program has ended or the system does not say.
    var addressSpace: Int? {
        // The first field counts pages.
        record("statm").flatMap { $0.split(separator: " ").first }.flatMap { Int($0) }.map { $0 * Int(getpagesize()) }
    }

    /// For how many seconds it has computed, and whether it is waiting for a disk or a share at the moment; nil where it has
    /// ended or the system does not say.
    var use: (seconds: Double, isWaitingForDisk: Bool)? {
        // "pid (name) state ppid ...": the name may hold anything; user and system time are the 14th and 15th field.
        guard let fields = record("stat")?.split(separator: ")").last?.split(separator: " "), fields.count > 12,
            let user = Double(fields[11]), let system = Double(fields[12])
        else { return nil }
        return ((user + system) / Double(sysconf(Int32(_SC_CLK_TCK))), fields[0] == "D")
    }

    /// What the system says of the program; nil where it has ended.
    private func record(_ name: String) -> String? {
        end.withLock { end -> String? in
            guard end == nil else { return nil }
            let file = open("/proc/\(pid)/\(name)", O_RDONLY | O_CLOEXEC)
            guard file >= 0 else { return nil }
            defer { close(file) }
            var text = [UInt8](repeating: 0, count: 1024)
            let count = read(file, &text, text.count)
            return count > 0 ? String(decoding: text.prefix(count), as: UTF8.self) : nil
        }
    }

    /// Waits for the program to end and reaps it.
    func wait() -> End {
        // First without reaping and without the lock, so that `kill` can come from elsewhere meanwhile.
        var information = siginfo_t()
        while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
        return end.withLock { end in
            if let end { return end }
            var status: Int32 = 0
            var reaped = waitpid(pid, &status, 0)
            while reaped < 0, errno == EINTR { reaped = waitpid(pid, &status, 0) }
            // Where the program that embeds us ignores SIGCHLD, the kernel keeps no status.
            let signal = status & 0x7F
            let result: End =
                reaped < 0 || signal == 0 ? .exited(reaped < 0 ? 0 : status >> 8 & 0xFF) : .signalled(signal)
            end = result
            return result
        }
    }
}

/// A null-ended array of C strings, as `posix_spawn` takes it.
private struct CStrings: ~Copyable {
    let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let count: Int

    init(_ strings: [String]) {
        count = strings.count
        pointers = .allocate(capacity: strings.count + 1)
        for (index, string) in strings.enumerated() { pointers[index] = strdup(string) }
        pointers[count] = nil
    }

    deinit {
        for index in 0..<count { free(pointers[index]) }
        pointers.deallocate()
    }
}
