import Glibc
import Shared
package import SystemPackage
import TestSupport

/// The faults of an ordinary week, with the lease times of production: outages, a full disk, a failover, a share that is
/// not mounted, a renderer that is replaced, files that are renamed, copied, rewritten and removed while they are read.
///
/// The workers read real files by the code of the real worker; what they "recognise" is the digest of the bytes that they
/// have read. In the end every page of what lies in the folder is done, under the hash of what was read.
package final class EverydaySoak {
    private let plan: EverydayPlan
    private let log: (String) -> Void
    private let archive: SoakArchive
    private let primary: TCPServer
    private var standby: TCPServer?
    private let connection: String
    private let database: Database
    private let fleet: WorkerFleet
    private let tools: TemporaryDirectory
    private let model: FilePath
    private var generator: SeededGenerator
    private var records: [Record] = []
    /// The fault that lasts, and when it ends.
    private var current: (fault: EverydayPlan.Fault, end: ContinuousClock.Instant)?
    private var submission: (program: RunningProgram, startTicks: Int64?)?
    private var submissions = 0
    private var changes = 0
    private var lastChange = ContinuousClock.now
    private var lastSubmission = ContinuousClock.now
    /// Since when the database has been reachable without a break, by its own clock.
    private var reachableSince = 0.0
    private var oldestLease = 0.0
    /// How old the oldest lease was when it was last looked at.
    private var lastAge = 0.0

    private struct Record {
        let fault: EverydayPlan.Fault
        let held: [HeldPages]
        /// When it was over, by the server's clock.
        var end = 0.0
    }

    /// What one fault cost.
    package struct FaultCost: Sendable {
        package let name: String
        /// For how long it lasted.
        package var seconds: Double
        package var pagesHeld: Int
        /// From the fault's end until the last of the pages that were in hand at its beginning was recorded; nil where
        /// none of them is wanted any more.
        package var secondsAfterEnd: Double?
    }

    /// What came of a run.
    package struct Report: Sendable {
        package var pages = 0
        package var documents = 0
        package var seconds = 0.0
        package var changes = 0
        package var submissions = 0
        package var costs: [FaultCost] = []
        /// What is wrong, in sentences; empty where nothing is.
        package var faults: [String] = []
        /// The longest that a lease was held while the database could be reached, in seconds.
        package var oldestLease = 0.0
        package var disorderly = 0
    }

    /// Carries a plan out; `model` is a model's directory, which `quire submit` wants.
    package static func run(
        _ plan: EverydayPlan, model: FilePath, log: @escaping (String) -> Void = { _ in }
    ) async throws -> Report {
        let soak = try await EverydaySoak(plan, model: model, log: log)
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

    private init(_ plan: EverydayPlan, model: FilePath, log: @escaping (String) -> Void) async throws {
        self.plan = plan
        self.model = model
        self.log = log
        generator = SeededGenerator(seed: plan.seed &+ 3)
        archive = try SoakArchive(pages: plan.documents, seed: plan.seed &+ 2)
        tools = try TemporaryDirectory(prefix: "quire-tools")
        let primary = try await TCPServer(host: nil)
        self.primary = primary
        var hasFailover = false
        for case .failover in plan.faults { hasFailover = true }
        // Whoever connects takes the first that answers: the standby, where the primary is gone.
        let other = hasFailover ? try await TCPServer(standbyOf: primary) : nil
        standby = other
        connection =
            other.map { standby in
                "host=127.0.0.1,127.0.0.1 port=\(primary.port),\(standby.port) user=quire dbname=quire connect_timeout=3"
            } ?? primary.connectionString()
        let connection = connection
        // The workers find out by themselves that they have met the standby; what is asked here is asked of the primary.
        database = Database(connectionString: connection + " target_session_attrs=read-write", patienceSeconds: 5)
        let renderer = tools.path.appending("renderer")
        try await Shell.run("cp \"$1\" \"$2\"", RunningProgram.product("quire-render").string, renderer.string)
        try await Self.makeSwitch(database)
        let first = try await Self.submit(archive, model: model, connection: connection).outcome(within: 300)
        guard first.status == 0 else {
            throw ChaosError.command("The archive cannot be submitted: \(first.output) \(first.errors)")
        }
        var rows = try await database.query("SELECT model_digest FROM quire.pipeline")
        let digest = try rows[0].text()
        let root = archive.root.string
        fleet = try WorkerFleet(Array(repeating: .direct, count: plan.workers)) { _ in
            [
                RunningProgram.product("quire-fake-worker").string, "--database", connection, "--model", digest,
                "--page-ms", "\(plan.pageMilliseconds)", "--silence-seconds", "\(plan.silenceSeconds)",
                "--heartbeat-seconds", "\(plan.heartbeatSeconds)", "--lease-seconds", "\(plan.leaseSeconds)",
                "--patience-seconds", "\(plan.patienceSeconds)", "--answer-seconds", "\(plan.statementSeconds)",
                "--root", "soak=\(root)", "--renderer", renderer.string,
            ]
        }
    }

    // MARK: Running

    private func run() async throws -> Report {
        let clock = ContinuousClock()
        let start = clock.now
        var faults = plan.faults[...]
        var hasEnded = false
        while !hasEnded {
            guard clock.now - start < .seconds(plan.limitSeconds) else {
                throw ChaosError.tooSlow("The batch was not finished in time.")
            }
            try await Task.sleep(for: .milliseconds(200))
            _ = try await fleet.restartEnded()
            if let (fault, end) = current, clock.now >= end { try await cure(fault) }
            // The last fault does not end the week: files are left alone only when all is over.
            if !faults.isEmpty || current != nil { try changeFiles() }
            try submitAgain()
            if let (fault, _) = current, fault.takesDatabaseAway { continue }
            guard let settled = try? await database.number("SELECT count(*) FROM quire.page") else { continue }
            try await lookAtLeases()
            if let next = faults.first {
                let place = Double(plan.faults.count - faults.count + 1) / Double(plan.faults.count + 2)
                guard current == nil, Double(settled) >= place * Double(plan.pages) else { continue }
                faults.removeFirst()
                try await begin(next)
            } else if current == nil {
                hasEnded = try await finish(deadline: start + .seconds(plan.limitSeconds))
            }
        }
        var report = Report()
        report.seconds = (clock.now - start) / .seconds(1)
        report.disorderly = await fleet.leave().count { $0 != 0 }
        report.faults = try await check()
        report.pages = try await database.number(
            "SELECT coalesce(sum(page_count), 0)::bigint FROM quire.batch_document")
        report.documents = try await database.number("SELECT count(*) FROM quire.batch_document")
        report.changes = changes
        report.submissions = submissions
        report.oldestLease = oldestLease
        for record in records {
            report.costs.append(
                FaultCost(
                    name: record.fault.name, seconds: record.fault.seconds,
                    pagesHeld: record.held.reduce(0) { $0 + $1.count },
                    secondsAfterEnd: try await HeldPages.secondsUntilRecorded(record.held, from: record.end, database)))
        }
        return report
    }

    /// The folder is left alone now: it is submitted for the last time, and all that it holds is done.
    private func finish(deadline: ContinuousClock.Instant) async throws -> Bool {
        if let (program, _) = submission { _ = await program.outcome(within: 300) }
        let last = try submit()
        let outcome = await last.outcome(within: 300)
        guard outcome.status == 0 else {
            throw ChaosError.command("The last submission failed: \(outcome.output) \(outcome.errors)")
        }
        while try await database.number(Self.unsettledSQL) > 0 {
            guard ContinuousClock.now < deadline else {
                throw ChaosError.tooSlow("\(try await database.number(Self.unsettledSQL)) pages were not done in time.")
            }
            try await Task.sleep(for: .milliseconds(500))
            _ = try await fleet.restartEnded()
            try await lookAtLeases()
        }
        return true
    }

    private func end() async {
        if let (fault, _) = current { try? await cure(fault) }
        _ = await fleet.leave()
        await database.close()
        try? await primary.stopImmediately()
        try? await standby?.stopImmediately()
    }

    // MARK: What happens

    private func begin(_ fault: EverydayPlan.Fault) async throws {
        records.append(Record(fault: fault, held: try await HeldPages.now(database)))
        log("\(fault.name): begins.")
        switch fault {
        case .outage:
            await database.close()
            try await primary.stop()
        case .diskFull: try await turnSwitch("53100")
        case .slowStatements: try await turnSwitch("57014")
        case .unmounted: try archive.unmount()
        case .noRenderer: try await moveRenderer(from: "renderer", to: "renderer.away")
        case .failover:
            await database.close()
            try await primary.stopImmediately()
        }
        current = (fault, ContinuousClock.now + .seconds(fault.seconds))
    }

    private func cure(_ fault: EverydayPlan.Fault) async throws {
        switch fault {
        case .outage: try await primary.start()
        case .diskFull, .slowStatements: try await turnSwitch("none")
        case .unmounted: try archive.mount()
        case .noRenderer: try await moveRenderer(from: "renderer.away", to: "renderer")
        case .failover: try await standby?.promote()
        }
        current = nil
        let now = try await database.serverTime()
        if fault.takesDatabaseAway { reachableSince = now }
        if let last = records.indices.last { records[last].end = now }
        log("\(fault.name): over.")
    }

    private func changeFiles() throws {
        guard ContinuousClock.now - lastChange > .seconds(plan.changeSeconds) else { return }
        lastChange = .now
        guard let change = SoakArchive.Change.allCases.randomElement(using: &generator) else { return }
        if try archive.change(change) { changes += 1 }
    }

    /// As by a nightly job: what the command says in the middle of a fault does not matter.
    private func submitAgain() throws {
        if let (program, ticks) = submission {
            guard ProcessIdentity.startTicks(of: program.pid) != ticks else { return }
            submission = nil
        }
        guard ContinuousClock.now - lastSubmission > .seconds(plan.submitSeconds) else { return }
        lastSubmission = .now
        submissions += 1
        let program = try submit()
        submission = (program, ProcessIdentity.startTicks(of: program.pid))
    }

    private func submit() throws -> RunningProgram {
        try Self.submit(archive, model: model, connection: connection)
    }

    private static func submit(
        _ archive: SoakArchive, model: FilePath, connection: String
    ) throws -> RunningProgram {
        try RunningProgram(
            RunningProgram.product("quire"),
            [
                "submit", archive.folder.string, "--root", "soak=\(archive.root)", "--name", "everyday", "--model",
                model.string,
            ], environment: ["DATABASE_URL": connection, "QUIRE_CONFIG": nil, "QUIRE_PRECISION": nil])
    }

    private func moveRenderer(from: String, to target: String) async throws {
        try await Shell.run("mv \"$1/$2\" \"$1/$3\"", tools.path.string, from, target)
    }

    // MARK: A switch in the database

    /// A trigger on results does what the switch says.
    private static func makeSwitch(_ database: Database) async throws {
        for statement in [
            "CREATE SCHEMA chaos", "CREATE TABLE chaos.switch (state text NOT NULL)",
            "INSERT INTO chaos.switch VALUES ('none')",
            """
            CREATE FUNCTION chaos.act() RETURNS trigger LANGUAGE plpgsql AS $$
            DECLARE v_state text := (SELECT state FROM chaos.switch);
            BEGIN
              IF v_state = '53100' THEN
                RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
              ELSIF v_state = '57014' THEN
                PERFORM pg_sleep(3600);
              END IF;
              RETURN NULL;
            END $$
            """,
            "CREATE TRIGGER act BEFORE INSERT ON quire.page FOR EACH STATEMENT EXECUTE FUNCTION chaos.act()",
        ] { try await database.query(statement) }
    }

    private func turnSwitch(_ state: String) async throws {
        try await database.query("UPDATE chaos.switch SET state = $1", [.text(state)])
    }

    // MARK: What is seen

    /// Notes for how long the oldest lease has been held, or for how long since the database was there again.
    private func lookAtLeases() async throws {
        var rows = try await database.query(
            """
            SELECT (extract(epoch FROM clock_timestamp()) - greatest(extract(epoch FROM j.started_at), $1::float8))::float8,
              format('pages %s to %s of document %s, token %s, its worker seen %s s ago, %s, the lease over in %s s',
                j.first_page, j.first_page + j.n_pages - 1, j.document_id, j.token,
                extract(epoch FROM now() - w.seen_at)::int, CASE WHEN j.token = ANY (w.named) THEN 'names it'
                ELSE 'does not name it' END, extract(epoch FROM j.due - now())::int)
            FROM quire.job j LEFT JOIN quire.worker w ON w.id = j.worker_id
            WHERE j.state = 'leased' ORDER BY j.started_at LIMIT 1
            """, [.double(reachableSince)])
        guard !rows.isEmpty else { return }
        let age = try rows[0].double()
        // Those that are near the bound are told each ten seconds.
        if age > 60, Int(age / 10) > Int(lastAge / 10) {
            log("The oldest lease is \(Int(age)) s old: \(try rows[0].optionalText() ?? "").")
        }
        lastAge = age
        oldestLease = max(oldestLease, age)
    }

    private static let unsettledSQL = """
        SELECT count(*) FROM quire.batch_document d, generate_series(1, d.page_count) n
        WHERE NOT EXISTS (SELECT FROM quire.page p WHERE p.document_id = d.document_id AND p.page_no = n)
        """

    // MARK: The check

    /// Each counts what must not be.
    private static let questions: [(what: String, sql: String)] = [
        (
            "pages have the text of other bytes than their document's",
            """
            SELECT count(*) FROM quire.page p JOIN quire.document d ON d.id = p.document_id
            WHERE p.state = 'done' AND p.markdown <> 'Page ' || p.page_no || ' of ' || encode(d.sha256, 'hex')
            """
        ),
        ("pages failed, though no content is at fault", "SELECT count(*) FROM quire.page WHERE state <> 'done'"),
        ("jobs are left", "SELECT count(*) FROM quire.job"),
        (
            "leases were counted as lost, though no worker died",
            "SELECT count(*) FROM quire.attempt WHERE outcome = 'lost'"
        ),
    ]

    private func check() async throws -> [String] {
        var faults: [String] = []
        for (what, sql) in Self.questions {
            let count = try await database.number(sql)
            if count != 0 { faults.append("\(count) \(what).") }
        }
        // What must hold of any queue at any time.
        faults += try await QueueCheck(PageQueue(database: database)).faults().map { "\($0.text)." }
        faults += try await losses()
        var known: Set<String> = []
        let rows = try await database.query(
            """
            SELECT DISTINCT encode(d.sha256, 'hex') FROM quire.batch_document b
            JOIN quire.document d ON d.id = b.document_id
            """)
        for var row in rows { known.insert(try row.text()) }
        let present = try archive.digests()
        if known != present {
            faults.append(
                "\(present.subtracting(known).count) contents of the folder are not in the batch, and "
                    + "\(known.subtracting(present).count) are in it that are gone.")
        }
        return faults
    }

    /// The leases that were counted as lost, by reason, with the fault that was last over before the first of them.
    private func losses() async throws -> [String] {
        let rows = try await database.query(
            """
            SELECT regexp_replace(error, '[0-9]+', '0', 'g'), count(*), extract(epoch FROM min(ended_at))::float8,
              extract(epoch FROM max(ended_at))::float8, extract(epoch FROM min(started_at))::float8
            FROM quire.attempt WHERE outcome = 'lost' GROUP BY 1 ORDER BY 3
            """)
        var losses: [String] = []
        for var row in rows {
            let (reason, count) = (try row.optionalText() ?? "no reason", try row.int())
            let (first, last, claimed) = (try row.double(), try row.double(), try row.double())
            let before = records.last { $0.end > 0 && $0.end <= first }
            losses.append(
                "\(count) lost: \(reason) From \(Int(first - (before?.end ?? first))) s to "
                    + "\(Int(last - (before?.end ?? first))) s after the end of: \(before?.fault.name ?? "nothing"); "
                    + "the first was claimed \(Int(first - claimed)) s before.")
        }
        return losses
    }
}

extension EverydayPlan.Fault {
    /// Whether nothing can be asked of the database meanwhile.
    fileprivate var takesDatabaseAway: Bool {
        switch self {
        case .outage, .failover: true
        case .diskFull, .slowStatements, .unmounted, .noRenderer: false
        }
    }
}
