import ArgumentParser
import Glibc
import Shared

/// Implements `quire-bench queue`.
struct QueueCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "queue",
        abstract: "Measures the job tables: clients that claim and record pages as fast as they can.",
        discussion: """
            For each number of pages: fills a throw-away database with so many queued pages, lets clients claim ranges and \
            record blank pages through the same calls as a worker, each over a connection of its own, while the house is \
            kept once a second, and reports pages a second, bytes of log and of tables, and how long status takes.
            """)

    @Option(parsing: .upToNextOption, help: "How many pages are queued; each number is a run of its own.")
    var pages: [Int] = [1_000_000]

    @Option(help: "How many clients.")
    var clients: Int = 16

    @Option(help: "Seconds that are measured, after five more to warm up.")
    var seconds: Int = 40

    @Option(help: "How many pages a document has.")
    var documentPages: Int = 160

    @Flag(help: "Let another session hold a snapshot all the while, as a backup does.")
    var oldSnapshot = false

    @Option(help: "Work at so many pages a second, not as fast as the clients can.")
    var pace: Int?

    @Option(help: "Append each figure to this file as a line of JSON.")
    var json: String?

    @Option(
        help: """
            The connection string of a database without Quire's tables, which are made and dropped; by default a \
            private server with its defaults in a temporary directory.
            """)
    var database: String?

    func validate() throws {
        guard pages.allSatisfy({ $0 > 0 }), clients > 0, seconds > 0, documentPages > 0, pace ?? 1 > 0 else {
            throw ValidationError("All numbers must be positive.")
        }
    }

    func run() async throws {
        // Closed in any case: a server that is left running fills the disk.
        let wasInterrupted = try await StopSignal.interrupts {
            let server = try await QueueServer.start(connectionString: database)
            do {
                try await measure(server)
                await server.stop()
            } catch {
                await server.stop()
                throw error
            }
        }
        if wasInterrupted { throw ExitCode(130) }
    }

    private func measure(_ server: QueueServer) async throws {
        var log = try FigureLog(path: json, isAppending: true)
        var rates: [(pages: Int, rate: Double)] = []
        for count in pages {
            let queue = try await server.makeQueue()
            print("Filling the queue with \(count) pages ...")
            let filling = QueueFilling(pages: count, documentPages: documentPages)
            let batch = try await filling.fill(queue)
            let name =
                "queue, \(count) pages queued, \(clients) clients" + (pace.map { " at \($0) pages/s" } ?? "")
                + (oldSnapshot ? ", an old snapshot held" : "")
            let load = QueueLoad(
                connectionString: server.connectionString, batch: batch, clients: clients, seconds: seconds,
                holdsSnapshot: oldSnapshot, pagesPerSecond: pace)
            let before = try await QueueSizes.read(queue)
            try log.add("queue, \(count) pages: tables a queued page", Double(before.job) / Double(count), "B")
            let run = try await load.run()
            try await Self.add(run, name: name, wanted: pace.map { 0.97 * Double($0) } ?? 10_000, to: &log)
            if let rate = run.rate { rates.append((count, rate)) }
            try await server.dropTables()
        }
        if let first = rates.first, let last = rates.last, rates.count > 1 {
            try log.add(
                "queue: pages a second with \(last.pages) queued differ from those with \(first.pages) by",
                abs(last.rate / first.rate - 1) * 100, "%", goal: .atMost(15))
        }
        for figure in log.figures { print("\(figure.what): \(SpeedReport.fixed(figure.value, 2)) \(figure.unit)") }
        print("\n\(log.goals)")
    }

    /// `wanted` is the least throughput, in pages a second.
    private static func add(_ run: QueueRun, name: String, wanted: Double, to log: inout FigureLog) async throws {
        guard let rate = run.rate, run.pages > 0 else {
            throw QueueProblem(reason: "The queue ran empty before the measurement ended: queue more pages.")
        }
        try log.add("\(name): claimed and recorded", rate, "pages/s", goal: .atLeast(wanted))
        let windows = run.rates.map { SpeedReport.fixed($0, 0) }.joined(separator: " ")
        print("Windows of about \(QueueLoad.windowSeconds) s: \(windows) pages/s.")
        let times = run.statusAtWork.map { SpeedReport.fixed($0 * 1e3, 0) }.joined(separator: " ")
        print("Status at work, each call: \(times) ms.")
        try log.add("\(name): log a page", Double(run.growth.wal) / Double(run.pages), "B")
        try log.add("\(name): tables a recorded page", Double(run.growth.results) / Double(run.pages), "B")
        for (moment, times) in [("at work", run.statusAtWork), ("after work", run.statusAfter)] {
            let sorted = times.sorted()
            guard let worst = sorted.last else { continue }
            try log.add("\(name): status \(moment), median", sorted[sorted.count / 2] * 1e3, "ms", goal: .atMost(50))
            try log.add("\(name): status \(moment), worst of \(sorted.count)", worst * 1e3, "ms", goal: .atMost(50))
        }
    }
}
