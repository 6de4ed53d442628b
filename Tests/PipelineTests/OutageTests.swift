import Glibc
import Shared
import TestSupport
import Testing

/// The database goes away, or refuses, while workers have results in hand.
@Suite struct OutageTests {
    private static let pages = Array(repeating: 16, count: 30)

    private func begun(_ server: StoppableServer, _ worker: RunningProgram) async throws {
        let hasBegun = try await server.wait { try await server.number("SELECT count(*) FROM quire.page") > 40 }
        #expect(hasBegun, "\(worker.errors)")
        #expect(try await !server.isFinished(), "it is in the middle of its work")
    }

    /// Every page has its result at its first attempt, nothing is leased, and no lease was lost.
    private func expectAll(_ server: StoppableServer, _ worker: RunningProgram) async throws {
        let isFinished = try await server.wait(seconds: 60) { try await server.isFinished() }
        #expect(isFinished, "\(worker.errors)")
        #expect(try await server.number("SELECT count(*) FROM quire.page WHERE state = 'done' AND attempt = 1") == 480)
        #expect(try await server.number("SELECT count(*) FROM quire.job") == 0)
        #expect(
            try await server.number("SELECT count(*) FROM quire.attempt WHERE outcome NOT IN ('done', 'released')") == 0
        )
    }

    @Test func `results wait for a server that is away, are handed over when it is back, and nothing stays leased`()
        async throws
    {
        let server = try await StoppableServer(pages: Self.pages)
        let worker = try server.startWorker()
        try await begun(server, worker)
        try await server.restart(after: 6)
        try await expectAll(server, worker)
        #expect(worker.errors.contains("Results wait for the database"), "\(worker.errors)")
        #expect(worker.errors.contains("No results wait any more"), "\(worker.errors)")
        worker.send(signal: SIGTERM)
        #expect(await worker.outcome().status == 0)
    }

    @Test(arguments: ["53100", "25006", "57014"])
    func `results wait for a server that refuses them for a while`(sqlState: String) async throws {
        let server = try await StoppableServer(pages: Self.pages)
        try await server.database.query("CREATE TABLE public.refusal (n int)")
        try await server.database.query(
            """
            CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
              IF EXISTS (SELECT FROM public.refusal) THEN
                RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '\(sqlState)';
              END IF;
              RETURN NULL;
            END $$
            """)
        try await server.database.query(
            "CREATE TRIGGER refuse AFTER INSERT ON quire.page FOR EACH STATEMENT EXECUTE FUNCTION public.refuse()")
        let worker = try server.startWorker()
        try await begun(server, worker)
        try await server.database.query("INSERT INTO public.refusal VALUES (1)")
        try await Task.sleep(for: .seconds(4))
        let pages = try await server.number("SELECT count(*) FROM quire.page")
        let leases = try await server.number("SELECT count(*) FROM quire.job WHERE state = 'leased'")
        try await Task.sleep(for: .seconds(2))
        #expect(try await server.number("SELECT count(*) FROM quire.page") == pages)
        #expect(
            try await server.number("SELECT count(*) FROM quire.job WHERE state = 'leased'") == leases,
            "nothing is claimed while results wait")
        #expect(leases <= 8, "\(leases)")
        try await server.database.query("DELETE FROM public.refusal")
        try await expectAll(server, worker)
        worker.send(signal: SIGTERM)
        #expect(await worker.outcome().status == 0)
    }

    @Test func `only the page that the database refuses fails, and the rest of its range is stored`() async throws {
        let server = try await StoppableServer(pages: [16, 16])
        try await server.database.query("UPDATE quire.batch SET max_attempts = 1")
        try await server.database.query(
            "ALTER TABLE quire.page ADD CONSTRAINT refused CHECK (markdown NOT LIKE 'Page 7 of %') NOT VALID")
        let worker = try server.startWorker()
        let isFinished = try await server.wait { try await server.isFinished() }
        #expect(isFinished, "\(worker.errors)")
        #expect(try await server.number("SELECT count(*) FROM quire.page WHERE state = 'done'") == 30)
        #expect(
            try await server.number(
                "SELECT count(*) FROM quire.page WHERE state = 'failed' AND page_no = 7 AND error LIKE '%23514%'") == 2)
    }

    @Test func `a worker that is told to leave waits some seconds for a database, and not for ever`() async throws {
        let server = try await StoppableServer(pages: Self.pages)
        let worker = try server.startWorker()
        try await begun(server, worker)
        try await server.stop()
        let isWaiting = try await server.wait { worker.errors.contains("Results wait for the database") }
        #expect(isWaiting, "\(worker.errors)")
        worker.send(signal: SIGTERM)
        worker.send(signal: SIGINT)
        let outcome = await worker.outcome(within: 40)
        #expect(outcome.status != 128 + SIGKILL, "it had to be killed: \(outcome.errors)")
    }

    @Test func `a worker that is told to leave while it waits at its start for a database leaves at once`() async throws
    {
        let work = try await Workspace()
        let environment = work.environment.merging(["DATABASE_URL": "host=/nowhere dbname=quire"]) { $1 }
        let worker = try RunningProgram(
            RunningProgram.product("quire-worker"), ["--threads", "1", "--memory", "160M"], environment: environment)
        let isWaiting = try await work.wait(seconds: 60) { worker.errors.contains("Waiting for the database") }
        #expect(isWaiting, "\(worker.errors)")
        worker.send(signal: SIGTERM)
        let outcome = await worker.outcome(within: 30)
        #expect(outcome.status == 0 && outcome.errors.contains("Stopped while waiting"), "\(outcome.errors)")
    }

    @Test func `heartbeats do not wait behind the upkeep`() async throws {
        let server = try await StoppableServer(pages: [1])
        let worker = try server.startWorker()
        let isDone = try await server.wait { try await server.isFinished() }
        #expect(isDone, "\(worker.errors)")
        // What the upkeep folds is held by somebody, longer than it may wait.
        let holder = Database(connectionString: server.connection)
        async let held = holder.query(
            "WITH held AS MATERIALIZED (SELECT FROM quire.tally FOR UPDATE) SELECT pg_sleep(5) FROM (SELECT count(*) FROM held) h"
        )
        try await server.database.query("INSERT INTO quire.tally_delta (batch_id, unreadable) VALUES (1, 1)")
        try await Task.sleep(for: .seconds(4))
        #expect(
            try await server.number("SELECT count(*) FROM quire.worker WHERE seen_at > now() - interval '2 s'") == 1)
        _ = try await held
        await holder.close()
    }

    @Test func `a worker whose device fails gives all leases back before it ends`() async throws {
        let server = try await StoppableServer(pages: Self.pages)
        let worker = try server.startWorker("--fail-device-on", "archive/3.pdf:5")
        #expect(await worker.outcome().status == 7, "\(worker.errors)")
        #expect(try await server.number("SELECT count(*) FROM quire.job WHERE state = 'leased'") == 0)
        #expect(try await server.number("SELECT count(*) FROM quire.worker WHERE ended_at IS NULL") == 0)
        #expect(try await server.number("SELECT count(*) FROM quire.attempt WHERE outcome = 'lost'") == 0)
        #expect(try await server.number("SELECT count(*) FROM quire.attempt WHERE outcome = 'released'") >= 1)
        let second = try server.startWorker()
        try await expectAll(server, second)
    }
}
