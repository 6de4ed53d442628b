import Glibc
import Shared
import SystemPackage
import TestSupport

/// One run under fire: a database of its own, a batch, workers, and faults by a plan; then the ledger is checked.
package final class Soak {
    private let plan: SoakPlan
    private let host: NetworkHost?
    private let server: TCPServer
    private let proxy: HalfOpenProxy
    private let database: Database
    private let batch: Int64
    private let fleet: WorkerFleet
    private let log: (String) -> Void
    private var generator: SeededGenerator
    private var records: [FaultRecord] = []
    /// What is still to be undone, and when.
    private var cures: [(at: ContinuousClock.Instant, apply: () async throws -> Void)] = []

    /// What came of a run.
    package struct Report: Sendable {
        package var pages = 0
        package var seconds = 0.0
        /// Sentences about what is wrong in the job tables; empty where nothing is.
        package var ledgerFaults: [String] = []
        package var faults: [FaultRecord] = []
        /// Late results that were refused.
        package var refused = 0
        /// Workers that ended before the end.
        package var ended = 0
        /// Workers that did not leave in order at the end.
        package var disorderly = 0
    }

    /// Carries a plan out; `host` is the other host, where this machine can have one.
    package static func run(
        _ plan: SoakPlan, host: NetworkHost?, log: @escaping (String) -> Void = { _ in }
    ) async throws -> Report {
        let soak = try await Soak(plan, host: host, log: log)
        do {
            let report = try await soak.run()
            await soak.end()
            return report
        } catch {
            log(await soak.fleet.lastWords)
            await soak.end()
            throw error
        }
    }

    private init(_ plan: SoakPlan, host: NetworkHost?, log: @escaping (String) -> Void) async throws {
        self.plan = plan
        self.host = host
        self.log = log
        generator = SeededGenerator(seed: plan.seed &+ 2)
        let server = try await TCPServer(host: host)
        self.server = server
        let proxy = try HalfOpenProxy(to: server.port)
        self.proxy = proxy
        database = Database(connectionString: server.connectionString())
        batch = try await SoakBatch.load(plan.documents, into: database)
        var routes = Array(repeating: WorkerFleet.Route.direct, count: plan.workers.direct)
        routes += Array(repeating: .proxied, count: plan.workers.proxied)
        // Without another host these work on this one.
        routes += Array(repeating: host == nil ? .direct : .remote, count: plan.workers.remote)
        fleet = try WorkerFleet(routes) { route in
            let program = RunningProgram.product("quire-fake-worker").string
            let prefix = route == .remote ? ["ip", "netns", "exec", host?.name ?? ""] : []
            let connection =
                switch route {
                case .direct: server.connectionString()
                case .proxied: server.connectionString(port: proxy.port)
                case .remote: server.connectionString(address: host?.serverAddress ?? "127.0.0.1")
                }
            return prefix + [
                program, "--database", connection, "--model", SoakBatch.model, "--page-ms",
                "\(plan.pageMilliseconds)", "--silence-seconds", "\(plan.silenceSeconds)", "--heartbeat-seconds",
                "\(plan.silenceSeconds / 6)",
            ]
        }
    }

    private func run() async throws -> Report {
        let clock = ContinuousClock()
        let start = clock.now
        var schedule = plan.schedule(hasOtherHost: host != nil)[...]
        while true {
            let settled = try await database.number("SELECT count(*) FROM quire.page")
            _ = try await fleet.restartEnded()
            try await applyCures { $0 <= clock.now }
            if let next = schedule.first, Double(settled) >= next.share * Double(plan.pages) {
                schedule.removeFirst()
                try await inject(next.kind)
                log("\(settled) pages recorded: \(next.kind.rawValue).")
            }
            if settled >= plan.pages, schedule.isEmpty, cures.isEmpty { break }
            guard clock.now - start < .seconds(plan.patienceSeconds) else {
                throw ChaosError.tooSlow("Only \(settled) pages of \(plan.pages) were recorded in time.")
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        var report = Report()
        report.seconds = (clock.now - start) / .seconds(1)
        report.pages = plan.pages
        report.disorderly = await fleet.leave().count { $0 != 0 }
        report.ledgerFaults = try await LedgerCheck(database: database, batch: batch).faults(pages: plan.pages)
        for index in records.indices {
            records[index].secondsLost = try await HeldPages.secondsUntilRecorded(
                records[index].held, from: records[index].at, database)
        }
        report.faults = records
        report.refused = await fleet.refused
        report.ended = await fleet.ended
        return report
    }

    private func end() async {
        try? await applyCures { _ in true }
        _ = await fleet.leave()
        await database.close()
        proxy.close()
        try? await server.stopImmediately()
    }

    private func applyCures(where isDue: (ContinuousClock.Instant) -> Bool) async throws {
        let due = cures.filter { isDue($0.at) }
        cures.removeAll { isDue($0.at) }
        for cure in due { try await cure.apply() }
    }

    private func inject(_ kind: FaultKind) async throws {
        switch kind {
        case .kill:
            guard let victim = try await busyWorker() else { return }
            try await note(kind, pids: [victim])
            await fleet.signal(SIGKILL, pid: victim)
        case .zombie:
            guard let victim = try await busyWorker() else { return }
            try await note(kind, pids: [victim])
            await fleet.signal(SIGSTOP, pid: victim)
            cure(after: plan.silenceSeconds + 3) { [fleet] in await fleet.signal(SIGCONT, pid: victim) }
        case .crash:
            try await note(kind, pids: await fleet.places.map(\.pid))
            await database.close()
            try await server.stopImmediately()
            try await Task.sleep(for: .seconds(1))
            try await server.start()
        case .halfOpen:
            try await note(kind, pids: await fleet.places.filter { $0.route == .proxied }.map(\.pid))
            let count = proxy.freeze()
            log("\(count) connections are half open.")
        case .linkDown:
            guard let host else { return }
            try await note(kind, pids: await fleet.places.filter { $0.route == .remote }.map(\.pid))
            try await host.setLink(up: false)
            cure(after: plan.linkDownSeconds) { try await host.setLink(up: true) }
        }
    }

    private func cure(after seconds: Double, _ apply: @escaping () async throws -> Void) {
        cures.append((ContinuousClock.now + .seconds(seconds), apply))
    }

    /// A worker with a lease in hand that nothing has happened to yet.
    private func busyWorker() async throws -> Int32? {
        let candidates = await fleet.places.filter { $0.isAlive && !$0.isStopped && !$0.isKilled }.map(\.pid)
            .shuffled(using: &generator)
        for pid in candidates where try await !HeldPages.now(database, by: [pid]).isEmpty { return pid }
        return candidates.first
    }

    private func note(_ kind: FaultKind, pids: [Int32]) async throws {
        let held = try await HeldPages.now(database, by: pids)
        records.append(
            FaultRecord(kind: kind, at: try await database.serverTime(), held: held, secondsLost: nil))
    }
}
