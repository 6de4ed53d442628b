import Shared
import Synchronization
import SystemPackage
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// `pg_dump` while workers claim and record all the time.
@Suite struct BackupTests {
    typealias Fixture = QueueFixture

    /// Whether the dump has begun and waits for its reader.
    private final class DumpSignal: Sendable {
        let stands = Atomic<Bool>(false)
    }

    /// Claims and records until nothing is left, or the task is cancelled.
    private static func work(_ fixture: Fixture, _ number: Int, _ dump: DumpSignal) async throws {
        let queue = fixture.another()
        let worker = try await fixture.worker("w\(number)", pid: Int32(number + 1))
        var leases = 0
        while !Task.isCancelled, let lease = try await fixture.claim(worker, on: queue) {
            leases += 1
            // Enough is left to be done while the dump stands, however long that takes to come about.
            while leases > 100, !dump.stands.load(ordering: .relaxed), !Task.isCancelled {
                try await Task.sleep(for: .milliseconds(5))
            }
            // In two steps, so that leases with a part recorded are among what the dump sees.
            let first = lease.pages.lowerBound
            _ = try await queue.record(
                [Fixture.done(first, String(repeating: "text ", count: 400))], lease: lease, worker: worker)
            _ = try await queue.record(
                lease.pages.dropFirst().map { $0 % 9 == 0 ? Fixture.failed($0) : Fixture.done($0) }, lease: lease,
                worker: worker)
            if Int.random(in: 0..<4) == 0 { try await queue.maintain() }
        }
    }

    @Test func `a dump made while workers work neither stops them nor loses a page`() async throws {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        let files = (0..<1500).map { Fixture.document(FilePath("archive/\($0)"), content: "\($0)", pages: 20) }
        _ = try await fixture.queue.add(files, to: batch)
        let directory = try TemporaryDirectory(prefix: "quire-backup")
        // Something to dump before the work begins, more than a pipe holds.
        let early = try await fixture.worker("early", pid: 99)
        for _ in 0..<100 {
            let lease = try #require(try await fixture.claim(early))
            _ = try await fixture.queue.record(
                lease.pages.map { Fixture.done($0, String(repeating: "\($0) ", count: 700)) }, lease: lease,
                worker: early)
        }
        // Whoever reads the dump takes the schema and a part of the rows, and goes on when the workers have done a good
        // deal more: pg_dump stands with its snapshot and its locks for as long.
        let script = """
            pg_dump --compress=0 "$1" 2>"$2/errors" | {
              dd bs=1k count=400 iflag=fullblock of="$2/dump" status=none
              while [ ! -e "$2/go" ]; do sleep 0.05; done; cat >>"$2/dump"; }
            cat "$2/errors" >&2
            """
        let database = fixture.connectionString
        let counted = try await withThrowingTaskGroup(of: Void.self) { group in
            let signal = DumpSignal()
            for number in 0..<3 { group.addTask { try await Self.work(fixture, number, signal) } }
            let dump = try RunningProgram("/bin/sh", ["-c", script, "sh", database, directory.path.string])
            // Whichever table it is at: more than fits between it and its reader is still to come.
            let isDumping = """
                SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                  AND application_name = 'pg_dump' AND query LIKE 'COPY quire.%'
                """
            while try await fixture.number(isDumping) == 0 { try await Task.sleep(for: .milliseconds(5)) }
            signal.stands.store(true, ordering: .relaxed)
            let pages = "SELECT count(*) FROM quire.page"
            let before = try await fixture.number(pages)
            while try await fixture.number(pages) < before + 1000 { try await Task.sleep(for: .milliseconds(5)) }
            // It may also wait to be asked for the next table by now.
            let isConnected =
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'pg_dump'"
            #expect(try await fixture.number(isConnected) == 1, "the dump stands while the work goes on")
            _ = try await fixture.status(batch)
            try directory.makeFile("go")
            let outcome = await dump.outcome()
            #expect(outcome.isSuccess && outcome.errors.isEmpty, "\(outcome.errors)")
            group.cancelAll()
            try await group.waitForAll()
            return before
        }

        let copy = try await TestPostgres.shared.makeDatabase(migrated: false)
        let restored = try await RunningProgram.run(
            "psql", ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "\(directory.path)/dump", copy])
        #expect(restored.isSuccess, "\(restored.errors)")
        let second = Fixture(connectionString: copy)
        try await Migrator(database: second.database).check()
        let pages = try await second.number("SELECT count(*) FROM quire.page")
        #expect(pages > 0 && pages < counted + 1000)
        // As it was at one moment: tally and deltas together say what the pages and jobs themselves say.
        let status = try await second.status(batch)
        #expect(status.pages == (try await second.countedPages(batch)))
        #expect(status.pages.total == 30_000)
        // Tokens go on where they were: none is given out again.
        let tokens = "SELECT last_value >= (SELECT max(token) FROM quire.attempt) FROM quire.lease_token"
        var rows = try await second.database.query(tokens)
        #expect(try rows[0].bool())

        // The old workers do not come here: their leases are taken back, and the rest is done.
        let leased = try await second.number("SELECT count(*) FROM quire.job WHERE state = 'leased'")
        try await second.database.query("UPDATE quire.worker SET seen_at = now() - interval '1 h'")
        try await second.queue.maintain()
        #expect(try await second.number("SELECT count(*) FROM quire.job WHERE state = 'leased'") == 0)
        #expect(try await second.number("SELECT count(*) FROM quire.attempt WHERE outcome = 'lost'") == leased)
        let worker = try await second.worker("new")
        for _ in 0..<50 {
            let lease = try #require(try await second.claim(worker))
            let receipt = try await second.queue.record(
                lease.pages.map { Fixture.done($0) }, lease: lease, worker: worker)
            #expect(receipt == .accepted(remaining: nil))
        }
        #expect(try await second.status(batch).pages == (try await second.countedPages(batch)))
        #expect(try await fixture.status(batch).pages == (try await fixture.countedPages(batch)))
    }
}
