import Shared
import Synchronization
import SystemPackage
import Testing

/// A queue in which one order is stopped just before its commit, while another one runs.
///
/// Deferred triggers on every table make the transactions of the gated connection wait for an advisory lock when they
/// commit: all is changed and locked by then, and nobody sees it yet, however the order is put into statements. Waits are
/// read from `pg_stat_activity`, so nothing hangs on time.
struct RaceFixture {
    let fixture: QueueFixture
    private let controller: Database

    /// What becomes of the order at the gate.
    enum Ending: CaseIterable, Sendable {
        case commits
        /// Cancelled by an administrator: the caller learns of it.
        case rollsBack
        /// The connection is cut: the caller connects again and repeats the order, after the other one.
        case isCutAndRepeated
    }

    /// What both orders gave.
    struct Outcome<First: Sendable, Second: Sendable>: Sendable {
        /// Nil where the order was rolled back.
        var first: First?
        var second: Second
        /// Whether the second order had to wait for the first.
        var hasWaited: Bool
    }

    struct NeverAtTheGate: Error {}

    private static let gate: Int64 = 0x7261_6365
    private static let gatedProcess = """
        SELECT pid::bigint FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'gated'
        """

    init() async throws {
        fixture = try await QueueFixture()
        controller = Database(connectionString: fixture.connectionString)
        try await controller.query(
            """
            CREATE FUNCTION public.wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
              IF current_setting('application_name') = 'gated' THEN
                PERFORM pg_advisory_xact_lock_shared(\(Self.gate));
              END IF;
              RETURN NULL;
            END $$
            """)
        try await controller.query(
            """
            DO $$ DECLARE name text; BEGIN
              FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'quire' LOOP
                EXECUTE format('CREATE CONSTRAINT TRIGGER gate AFTER INSERT OR UPDATE OR DELETE ON quire.%I
                  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.wait_at_gate()', name);
              END LOOP;
            END $$
            """)
    }

    /// Runs `first` up to its commit, then `second` until it is through or waits for `first`, then ends `first`.
    func run<First: Sendable, Second: Sendable>(
        _ ending: Ending, first: @escaping @Sendable (PageQueue) async throws -> First,
        second: @escaping @Sendable (PageQueue) async throws -> Second
    ) async throws -> Outcome<First, Second> {
        let (gated, other) = (queue("gated"), queue("other"))
        try await closeGate()
        // Unstructured, as both go on while this function watches them.
        let firstTask = Task { try await first(gated) }
        try await waitAtGate(firstTask)
        let secondTask = Task { try await second(other) }
        let hasWaited = try await isThroughOrWaiting(secondTask)
        switch ending {
        case .commits: break
        case .rollsBack:
            // An order of several transactions goes on with the next one, which is cancelled too.
            let hasEnded = Flag(firstTask)
            while !hasEnded.isSet {
                try await end("pg_cancel_backend")
                try await Task.sleep(for: .milliseconds(5))
            }
        case .isCutAndRepeated:
            let connection = try await fixture.number(Self.gatedProcess)
            // It cannot come back before the other one is through.
            try await allowConnections(false)
            try await end("pg_terminate_backend")
            while try await isTrue("pid = \(connection)") { try await Task.sleep(for: .milliseconds(2)) }
            _ = await secondTask.result
            try await allowConnections(true)
        }
        try await openGate()
        let firstResult = await firstTask.result
        let value: First? = ending == .rollsBack ? nil : try firstResult.get()
        return Outcome(first: value, second: try await secondTask.value, hasWaited: hasWaited)
    }

    /// Whether every page of every batch that is not cancelled is in exactly one place, and the tally says so.
    func expectExactLedger(_ location: Testing.SourceLocation = #_sourceLocation) async throws {
        try await fixture.queue.maintain()
        for status in try await fixture.queue.status(batch: nil) where status.state != .cancelled {
            let counted = try await fixture.countedPages(status.id)
            #expect(status.pages == counted, sourceLocation: location)
        }
        let overlaps = try await fixture.number(
            """
            SELECT count(*) FROM quire.job a JOIN quire.job b ON a.batch_id = b.batch_id
              AND a.document_id = b.document_id AND a.id < b.id
              AND a.first_page < b.first_page + b.n_pages AND b.first_page < a.first_page + a.n_pages
            """)
        #expect(overlaps == 0, sourceLocation: location)
        let ungrounded = try await fixture.number(
            """
            SELECT count(*) FROM quire.batch_document d JOIN quire.batch b ON b.id = d.batch_id AND b.state <> 'cancelled'
            CROSS JOIN generate_series(1, d.page_count) n
            WHERE NOT EXISTS (SELECT FROM quire.page p
                WHERE p.document_id = d.document_id AND p.page_no = n AND p.redo_token IS NULL)
              AND NOT EXISTS (SELECT FROM quire.job j WHERE j.batch_id = d.batch_id AND j.document_id = d.document_id
                AND n BETWEEN j.first_page AND j.first_page + j.n_pages - 1)
            """)
        #expect(ungrounded == 0, "pages without a result and without a job", sourceLocation: location)
        #expect(try await QueueCheck(fixture.queue).faults() == [], sourceLocation: location)
    }

    /// Lets everything that is left be done, and looks once more.
    func finish(_ location: Testing.SourceLocation = #_sourceLocation) async throws {
        try await expectExactLedger(location)
        let worker = try await fixture.worker("last", pid: 999)
        try await fixture.database.query(
            "UPDATE quire.worker SET seen_at = now() - interval '1 h' WHERE id <> $1", [.int(worker)])
        for _ in 0..<3 {
            try await fixture.database.query(
                "UPDATE quire.job SET due = now() - interval '1 s' WHERE state <> 'ready' AND due < 'infinity'")
            try await fixture.passTime()
            try await fixture.finishAll(worker)
        }
        try await expectExactLedger(location)
        for status in try await fixture.queue.status(batch: nil) where status.state == .open {
            #expect(status.pages.pending == 0, sourceLocation: location)
        }
    }

    /// A batch with one document, `archive/a.pdf`.
    func batch(pages: Int, folder: FilePath = "archive") async throws -> Int64 {
        let batch = try await fixture.openBatch(folder: folder)
        _ = try await fixture.queue.add([Self.document(pages: pages, folder: folder)], to: batch)
        return batch
    }

    static func document(pages: Int, folder: FilePath = "archive", content: String = "a") -> ScannedFile {
        QueueFixture.document(folder.appending("a.pdf"), content: content, pages: pages)
    }

    /// A lease of a new worker's; all batches but this one are paused meanwhile.
    func lease(_ batch: Int64, _ name: String = "w1") async throws -> (lease: Lease, worker: Int64) {
        let worker = try await fixture.worker(name, pid: Int32(100 + name.count))
        let others = try await fixture.queue.status(batch: nil).filter { $0.id != batch && $0.state == .open }
        for other in others { try await fixture.queue.setState(.paused, batch: other.id) }
        let lease = try #require(try await fixture.claim(worker))
        for other in others { try await fixture.queue.setState(.open, batch: other.id) }
        #expect(lease.batchID == batch)
        return (lease, worker)
    }

    /// All pages of a lease that need work, done.
    static func outcomes(_ lease: Lease, _ text: String = "text") -> [PageOutcome] {
        lease.pages.filter { !lease.recordedElsewhere.contains($0) }.map { QueueFixture.done($0, text) }
    }

    /// What `page.markdown` holds, by page.
    func texts(_ document: Int64) async throws -> [String?] {
        try await fixture.queue.pages(document: document, from: 1, limit: 1000).map(\.text?.markdown)
    }

    func attempts(_ outcome: String) async throws -> Int64 {
        try await fixture.number(
            "SELECT count(*) FROM quire.attempt WHERE outcome = $1::text::quire.attempt_outcome", [.text(outcome)])
    }

    private func queue(_ name: String) -> PageQueue {
        PageQueue(database: Database(connectionString: "\(fixture.connectionString) application_name=\(name)"))
    }

    private func isTrue(_ condition: String) async throws -> Bool {
        let rows = try await controller.query(
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND \(condition)")
        return !rows.isEmpty
    }

    func closeGate() async throws { try await controller.query("SELECT pg_advisory_lock(\(Self.gate))") }

    func openGate() async throws { try await controller.query("SELECT pg_advisory_unlock(\(Self.gate))") }

    /// Waits until the gated connection stands at the gate, with what `task` does.
    func waitAtGate<Value: Sendable>(_ task: Task<Value, any Error>) async throws {
        let end = Flag(task)
        while try await !isTrue("application_name = 'gated' AND wait_event = 'advisory'") {
            if end.isSet {
                try await openGate()
                _ = try await task.value
                throw NeverAtTheGate()
            }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    private func isThroughOrWaiting<Value: Sendable>(_ task: Task<Value, any Error>) async throws -> Bool {
        let end = Flag(task)
        let waits = """
            application_name = 'other' AND EXISTS (SELECT FROM pg_stat_activity g
              WHERE g.application_name = 'gated' AND g.datname = current_database()
                AND g.pid = ANY (pg_blocking_pids(pg_stat_activity.pid)))
            """
        while !end.isSet {
            if try await isTrue(waits) { return true }
            try await Task.sleep(for: .milliseconds(2))
        }
        return false
    }

    private func allowConnections(_ isAllowed: Bool) async throws {
        // By the catalogue, as ALTER DATABASE refuses that for the database that one is connected to.
        try await controller.query(
            "UPDATE pg_database SET datallowconn = \(isAllowed) WHERE datname = current_database()")
    }

    private func end(_ function: String) async throws {
        try await controller.query(
            "SELECT \(function)(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'gated'"
        )
    }
}

/// Says whether a task has ended, without waiting for it.
private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)

    init<Value: Sendable>(_ task: Task<Value, any Error>) {
        // Unstructured: it ends with the task that it watches.
        Task {
            _ = await task.result
            value.store(true, ordering: .releasing)
        }
    }

    var isSet: Bool { value.load(ordering: .acquiring) }
}
