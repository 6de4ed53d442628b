internal import CProcess
internal import Claiming
internal import Glibc

/// `quire-worker --device all`: a worker for each GPU, started again where one dies, and stopped with this program.
package struct CardWorkers {
    /// What came of all workers.
    private var worst: Int32 = 0
    private var cards: [Card]
    private let program: String

    private struct Card {
        let arguments: [String]
        var pid: pid_t?
        /// When it is started again.
        var due: ContinuousClock.Instant?
        var started = ContinuousClock.now
        /// Seconds until a worker that dies at once is started again.
        var patience = 1.0
    }

    /// Workers for GPUs by their numbers, with the arguments of this program.
    package init(cards: [Int], arguments: [String], program: String = "/proc/self/exe") {
        self.program = program
        self.cards = cards.map {
            Card(arguments: Self.arguments(arguments, card: $0, parent: getpid()), due: .now)
        }
    }

    /// A worker's arguments: those of this program, with one device, a name of its own and this program as its parent.
    private static func arguments(_ all: [String], card: Int, parent: pid_t) -> [String] {
        var own: [String] = []
        var option = ""
        for argument in all {
            switch option {
            case "--device": own.removeLast()
            case "--name": own.append("\(argument)-gpu\(card)")
            case _ where argument.hasPrefix("--device="): break
            case _ where argument.hasPrefix("--name="): own.append("\(argument)-gpu\(card)")
            default: own.append(argument)
            }
            option = argument
        }
        return own + ["--device", "cuda:\(card)", "--parent-pid", "\(parent)"]
    }

    /// Runs until all have ended; the exit code is that of the one that ended worst.
    ///
    /// `stops` says how often somebody has asked all to end; each time they are told.
    package mutating func run(stops: () -> Int) async -> Int32 {
        var told = 0
        while true {
            let asked = stops()
            for card in cards.indices { tend(card, isStopping: asked > 0) }
            guard cards.contains(where: { $0.pid != nil || $0.due != nil }) else { return worst }
            if asked > told {
                told = asked
                for pid in cards.compactMap(\.pid) { kill(pid, SIGTERM) }
            }
            try? await Task.sleep(for: .milliseconds(200))
        }
    }

    private mutating func tend(_ number: Int, isStopping: Bool) {
        if isStopping { cards[number].due = nil }
        if let pid = cards[number].pid {
            var status: Int32 = 0
            guard waitpid(pid, &status, WNOHANG) == pid else { return }
            cards[number].pid = nil
            ended(number, status: status, isStopping: isStopping)
        } else if let due = cards[number].due, due <= .now {
            cards[number].due = nil
            start(number)
        }
    }

    private mutating func start(_ number: Int) {
        let code = Self.spawn(program, cards[number].arguments, pid: &cards[number].pid)
        cards[number].started = .now
        guard code != 0 else { return }
        Log.line("quire-worker: the worker of GPU \(number) cannot be started: \(String(cString: strerror(code))).")
        worst = max(worst, 1)
    }

    private mutating func ended(_ number: Int, status: Int32, isStopping: Bool) {
        let code = status & 0x7f == 0 ? status >> 8 & 0xff : -(status & 0x7f)
        guard code != 0 else { return }
        // Wrong options and a missing model do not mend themselves.
        guard !isStopping, ![2, 5, 6].contains(code) else {
            worst = max(worst, code > 0 ? code : 1)
            return
        }
        let lived = ContinuousClock.now - cards[number].started
        cards[number].patience = lived > .seconds(300) ? 1 : min(60, cards[number].patience * 2)
        cards[number].due = .now + .seconds(cards[number].patience)
        let end = code < 0 ? "was ended by signal \(-code)" : "ended with code \(code)"
        Log.line("quire-worker: the worker of GPU \(number) \(end) and is started again.")
    }

    private static func spawn(_ program: String, _ arguments: [String], pid: inout pid_t?) -> Int32 {
        // The pipes or files that this program writes to, under numbers that do not collide.
        let descriptors = [fcntl(1, F_DUPFD_CLOEXEC, 10), fcntl(2, F_DUPFD_CLOEXEC, 10)]
        defer { for descriptor in descriptors where descriptor >= 0 { close(descriptor) } }
        var argv: [UnsafeMutablePointer<CChar>?] = (["quire-worker"] + arguments).map { strdup($0) } + [nil]
        defer { for argument in argv { free(argument) } }
        var made: pid_t = 0
        let code = quire_spawn(&made, program, &argv, environ, descriptors, 2)
        if code == 0 { pid = made }
        return code
    }
}
