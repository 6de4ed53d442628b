import Shared
import SystemPackage
import Testing

@Suite struct LossTests {
    typealias Fixture = QueueFixture

    private func prepared(pages: Int) async throws -> (fixture: Fixture, batch: Int64) {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        _ = try await fixture.queue.add(
            [Fixture.document("archive/a.pdf", content: "a", pages: pages)], to: batch)
        return (fixture, batch)
    }

    @Test func `a page that fails for good is settled at once`() async throws {
        let (fixture, batch) = try await prepared(pages: 2)
        let worker = try await fixture.worker()
        let lease = try #require(try await fixture.claim(worker))
        _ = try await fixture.queue.record(
            [Fixture.done(1), Fixture.failed(2, isPermanent: true)], lease: lease, worker: worker)
        let status = try await fixture.status(batch)
        #expect(status.pages.failed == 1 && status.isFinished)
        #expect(status.documents.withFailures == 1 && status.documents.complete == 0)
        #expect(try await fixture.number("SELECT count(*) FROM quire.attempt WHERE outcome = 'partial'") == 1)
    }

    @Test func `a page that fails for the time being waits, then fails at its last attempt`() async throws {
        let (fixture, batch) = try await prepared(pages: 3)
        let worker = try await fixture.worker()
        for attempt in 1...3 {
            let lease = try #require(try await fixture.claim(worker))
            #expect(lease.attempt == attempt)
            #expect(lease.pages == (attempt == 1 ? 1...3 : 2...2))
            let outcomes = lease.pages.map { $0 == 2 ? Fixture.failed(2) : Fixture.done($0) }
            _ = try await fixture.queue.record(outcomes, lease: lease, worker: worker)
            #expect(try await fixture.claim(worker) == nil)
            if attempt < 3 {
                let expected = Fixture.retrySeconds * (attempt == 1 ? 1 : 4)
                let waits = try await fixture.number(
                    """
                    SELECT count(*) FROM quire.job, (SELECT max(ended_at) AS at FROM quire.attempt) recorded
                    WHERE state = 'waiting' AND due - at BETWEEN $1 * interval '0.5 s' AND $1 * interval '1.5 s'
                    """, [.double(expected)])
                #expect(waits == 1)
                try await fixture.queue.maintain()
                #expect(try await fixture.claim(worker) == nil)
                try await fixture.passTime()
            }
        }
        let status = try await fixture.status(batch)
        #expect(status.pages.done == 2 && status.pages.failed == 1)
        let page = try #require(try await fixture.queue.problemGroups(batch: batch, limit: 1).first)
        #expect(page.page == 2 && page.reason == "It cannot be read.")
    }

    @Test func `a page that kills its workers is quarantined and all others are done`() async throws {
        let (fixture, batch) = try await prepared(pages: 16)
        var deaths = 0
        for number in 1...100 {
            let worker = try await fixture.worker("w\(number)", pid: Int32(number))
            try await fixture.passTime()
            guard let lease = try await fixture.claim(worker) else { break }
            guard !lease.pages.contains(11) else {
                deaths += 1
                try await fixture.queue.reportDead(workers: [worker])
                continue
            }
            _ = try await fixture.queue.record(lease.pages.map { Fixture.done($0) }, lease: lease, worker: worker)
        }
        let status = try await fixture.status(batch)
        #expect(status.pages.done == 15 && status.pages.quarantined == 1 && status.isFinished)
        #expect(deaths == 7)
        #expect(status.pages == (try await fixture.countedPages(batch)))
        let problem = try #require(try await fixture.queue.problemGroups(batch: batch, limit: 1).first)
        #expect(problem.page == 11)
        #expect(problem.reason.contains("Workers were lost on this page 3 times"))
    }

    @Test func `a page is given up only when it was all that its worker held`() async throws {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        _ = try await fixture.queue.add(
            ["a", "b"].map { Fixture.document(FilePath("archive/\($0).pdf"), content: $0, pages: 1) }, to: batch)
        // Both are in the hands of each worker that is lost: nobody knows which of them it was.
        for number in 1...6 {
            let worker = try await fixture.worker("w\(number)", pid: Int32(number))
            try await fixture.passTime()
            for _ in 1...2 {
                let lease = try #require(try await fixture.claim(worker))
                #expect(lease.mustBeAlone == (number > 2))
            }
            try await fixture.queue.reportDead(workers: [worker])
        }
        #expect(try await fixture.status(batch).pages.quarantined == 0)

        try await fixture.passTime()
        let killed = try await fixture.worker("killed", pid: 50)
        let poison = try #require(try await fixture.claim(killed))
        #expect(poison.mustBeAlone)
        try await fixture.queue.reportDead(workers: [killed])
        let status = try await fixture.status(batch)
        #expect(status.pages.quarantined == 1 && status.pages.pending == 1)
        try await fixture.finishAll(try await fixture.worker("last", pid: 51))
        #expect(try await fixture.status(batch).pages.done == 1)
        #expect(try await fixture.status(batch).pages == (try await fixture.countedPages(batch)))
    }

    @Test func `the first loss brings the range back whole and at once, without an attempt counted`() async throws {
        let (fixture, _) = try await prepared(pages: 10)
        let worker = try await fixture.worker()
        _ = try await fixture.claim(worker)
        try await fixture.queue.reportDead(workers: [worker])
        let other = try await fixture.worker("w2", pid: 9)
        let lease = try #require(try await fixture.claim(other))
        #expect(lease.pages == 1...10 && lease.attempt == 1)
    }

    @Test func `silence and an overdue lease count as a loss`() async throws {
        let (fixture, batch) = try await prepared(pages: 20)
        let silent = try await fixture.worker()
        let hung = try await fixture.worker("w2", pid: 2)
        _ = try await fixture.claim(silent)
        _ = try await fixture.claim(hung, seconds: 0)
        try await fixture.queue.maintain()
        #expect(try await fixture.status(batch).pages.leased == 16)
        try await fixture.database.query(
            "UPDATE quire.worker SET seen_at = now() - interval '46 s' WHERE id = $1", [.int(silent)])
        try await fixture.queue.maintain()
        #expect(try await fixture.status(batch).pages.leased == 0)
        #expect(try await fixture.queue.workers().map(\.id) == [hung])
        #expect(try await fixture.queue.heartbeat(worker: silent, tokens: []).isUnknown)
        #expect(try await fixture.number("SELECT count(*) FROM quire.attempt WHERE outcome = 'lost'") == 2)
    }

    @Test func `recorded pages keep a slow lease alive`() async throws {
        let (fixture, _) = try await prepared(pages: 3)
        let worker = try await fixture.worker()
        let lease = try #require(try await fixture.claim(worker, seconds: 100))
        try await fixture.database.query("UPDATE quire.job SET due = now() + interval '1 s'")
        _ = try await fixture.queue.record([Fixture.done(1)], lease: lease, worker: worker)
        #expect(
            try await fixture.number("SELECT count(*) FROM quire.job WHERE due > now() + interval '90 s'") == 1)
    }

    @Test func `workers are found by host and by boot`() async throws {
        let (fixture, _) = try await prepared(pages: 1)
        let worker = try await fixture.worker(pid: 4711)
        let found = try await fixture.queue.workersOnHost(bootID: "boot", host: "elsewhere")
        #expect(found.map(\.id) == [worker] && found.map(\.pid) == [4711] && found.map(\.processStartTicks) == [5])
        #expect(try await fixture.queue.workersOnHost(bootID: "other", host: "other").isEmpty)
        #expect(try await fixture.queue.workersOnHost(bootID: "other", host: "here").map(\.bootID) == ["boot"])
        try await fixture.queue.unregister(worker: worker)
        #expect(try await fixture.queue.workersOnHost(bootID: "boot", host: "here").isEmpty)
    }

    @Test func `a rescue and a record of the same lease never both count`() async throws {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        let worker = try await fixture.worker()
        let queues = (fixture.another(), fixture.another())
        try await fixture.database.query("UPDATE quire.batch SET max_losses = 1000")
        for round in 0..<30 {
            let path = FilePath("archive/\(round)")
            _ = try await fixture.queue.add([Fixture.document(path, content: "\(round)", pages: 1)], to: batch)
            let lease = try #require(try await fixture.claim(worker))
            try await fixture.database.query("UPDATE quire.job SET due = now() - interval '1 s'")
            async let receipt = queues.0.record([Fixture.done(1)], lease: lease, worker: worker)
            async let rescued: Void = queues.1.maintain()
            let accepted = try await receipt == .accepted(remaining: nil)
            try await rescued
            let jobs = try await fixture.number("SELECT count(*) FROM quire.job")
            #expect(jobs == (accepted ? 0 : 1))
            try await fixture.passTime()
            try await fixture.finishAll(worker)
        }
        let status = try await fixture.status(batch)
        #expect(status.pages.done == 30 && status.documents.complete == 30)
    }

    @Test func `four careless workers, a housekeeper and restless steering lose and double nothing`() async throws {
        let fixture = try await Fixture()
        let (first, second) = (try await fixture.openBatch("1"), try await fixture.openBatch("2", folder: "b"))
        try await fixture.database.query("UPDATE quire.batch SET max_losses = 1000, retry_seconds = 0.01")
        for (batch, folder) in [(first, "archive"), (second, "b")] {
            _ = try await fixture.queue.add(
                (0..<20).map { Fixture.document(FilePath("\(folder)/\($0)"), content: "\($0)", pages: 20) }, to: batch)
        }
        let documents = try await fixture.queue.files(batch: first).compactMap { file -> Int64? in
            guard case .document(let id, _, _, _) = file.content else { return nil }
            return id
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<4 {
                let queue = fixture.another()
                group.addTask { try await Self.workCarelessly(fixture, queue, number) }
            }
            let (keeper, steerer) = (fixture.another(), fixture.another())
            group.addTask {
                for _ in 0..<60 {
                    try await keeper.maintain()
                    try await Task.sleep(for: .milliseconds(20))
                }
            }
            group.addTask {
                for round in 0..<20 {
                    let batch = round % 2 == 0 ? first : second
                    let document = documents[round]
                    _ = try await steerer.retry(
                        .document(id: document, includingDone: true), batch: batch, override: nil)
                    try await steerer.setState(.cancelled, batch: second)
                    try await steerer.setState(.open, batch: second)
                }
            }
            try await group.waitForAll()
        }
        let worker = try await fixture.worker("last", pid: 999)
        try await fixture.database.query("UPDATE quire.job SET due = now() - interval '1 s' WHERE state <> 'ready'")
        for _ in 0..<3 {
            try await fixture.passTime()
            try await fixture.finishAll(worker)
        }
        for batch in [first, second] {
            let status = try await fixture.status(batch)
            #expect(status.pages == (try await fixture.countedPages(batch)))
            #expect(status.pages.total == 400 && status.pages.pending == 0)
            #expect(status.documents.pending == 0)
            #expect(status.documents.complete + status.documents.withFailures == 20)
        }
        #expect(try await fixture.number("SELECT count(*) FROM quire.page") == 400)
        #expect(try await fixture.number("SELECT count(*) FROM quire.job") == 0)
    }

    /// Claims and then, by chance, records all, records some, gives back, fails a page, forgets or is a zombie.
    private static func workCarelessly(_ fixture: Fixture, _ queue: PageQueue, _ number: Int) async throws {
        var worker = try await fixture.worker("w\(number)", pid: Int32(number))
        var stale: Lease?
        for _ in 0..<60 {
            guard let lease = try await fixture.claim(worker, on: queue) else { continue }
            let pages = lease.pages.filter { !lease.recordedElsewhere.contains($0) }
            let outcomes = pages.map { Fixture.done($0) }
            switch Int.random(in: 0..<6) {
            case 0:
                let first = lease.pages.lowerBound
                let isKnown = lease.recordedElsewhere.contains(first)
                _ = try await queue.record(
                    isKnown ? [] : [Fixture.done(first)], alreadyRecorded: isKnown ? [first] : [], lease: lease,
                    worker: worker)
                try await queue.release(lease, worker: worker)
            case 1:
                try await queue.reportDead(workers: [worker])
                stale = lease
                worker = try await fixture.worker("again", pid: 1)
            case 2:
                _ = try await queue.record(
                    pages.map { $0 % 7 == 0 ? Fixture.failed($0) : Fixture.done($0) },
                    alreadyRecorded: lease.recordedElsewhere, lease: lease, worker: worker)
            default:
                _ = try await queue.record(
                    outcomes, alreadyRecorded: lease.recordedElsewhere, lease: lease, worker: worker)
            }
            if let lost = stale {
                let receipt = try await queue.record(
                    lost.pages.map { Fixture.done($0, "stale") }, lease: lost, worker: worker)
                #expect(receipt == .leaseLost)
                stale = nil
            }
        }
    }
}
