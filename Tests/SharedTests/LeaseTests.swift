import Shared
import SystemPackage
import Testing

@Suite struct LeaseTests {
    typealias Fixture = QueueFixture

    private func prepared(pages: Int = 16) async throws -> (fixture: Fixture, batch: Int64, worker: Int64) {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        _ = try await fixture.queue.add(
            [Fixture.document("archive/a.pdf", content: "a", pages: pages)], to: batch)
        return (fixture, batch, try await fixture.worker())
    }

    @Test func `a lease tells all that the work needs`() async throws {
        let (fixture, batch, worker) = try await prepared(pages: 20)
        let lease = try #require(try await fixture.claim(worker))
        #expect(lease.batchID == batch)
        #expect(lease.pages == 1...16)
        #expect(lease.attempt == 1)
        #expect(lease.sha256 == Fixture.digest("a"))
        #expect(lease.format == .pdf)
        #expect(lease.file == SourceLocation(root: "home", path: "archive/a.pdf"))
        #expect(lease.stamp == FileStamp(size: 1, modifiedNanoseconds: 1))
        #expect(lease.pipeline == Fixture.pipeline())
        #expect(lease.recordedElsewhere.isEmpty)
        #expect(try await fixture.claim(worker)?.pages == 17...20)
        #expect(try await fixture.claim(worker) == nil)
        #expect(try await fixture.status(batch).pages.leased == 20)
        #expect(try await fixture.queue.workers().map(\.leasedPages) == [20])
    }

    @Test func `a worker of another model gets nothing`() async throws {
        let (fixture, _, worker) = try await prepared()
        let lease = try await fixture.queue.claim(worker: worker, modelDigest: "another", leaseSeconds: 60)
        #expect(lease == nil)
    }

    @Test func `pages are recorded as they get ready, until the lease is complete`() async throws {
        let (fixture, batch, worker) = try await prepared()
        let lease = try #require(try await fixture.claim(worker))
        let first = try await fixture.queue.record(
            [Fixture.done(1), Fixture.blank(2)], lease: lease, worker: worker)
        #expect(first == .accepted(remaining: 3...16))
        let middle = try await fixture.queue.record(
            (3...15).map { Fixture.done($0) }, lease: lease, worker: worker)
        #expect(middle == .accepted(remaining: 16...16))
        let last = try await fixture.queue.record([Fixture.done(16)], lease: lease, worker: worker)
        #expect(last == .accepted(remaining: nil))
        let status = try await fixture.status(batch)
        #expect(status.pages.done == 15 && status.pages.blank == 1 && status.isFinished)
        #expect(status.documents.complete == 1)
        #expect(status.pagesPerMinute.map { $0 > 0 } == true)
        #expect(status.secondsLeft == 0)
        #expect(try await fixture.number("SELECT count(*) FROM quire.job") == 0)
        #expect(
            try await fixture.number(
                "SELECT count(*) FROM quire.attempt WHERE outcome = 'done' AND first_page = 1 AND n_pages = 16") == 1)
    }

    @Test func `a record repeated after a lost answer changes nothing`() async throws {
        let (fixture, batch, worker) = try await prepared(pages: 4)
        let lease = try #require(try await fixture.claim(worker))
        for _ in 0..<2 {
            let receipt = try await fixture.queue.record([Fixture.done(1)], lease: lease, worker: worker)
            #expect(receipt == .accepted(remaining: 2...4))
        }
        for _ in 0..<2 {
            let rest = [Fixture.failed(2), Fixture.done(3), Fixture.done(4)]
            let receipt = try await fixture.queue.record(rest, lease: lease, worker: worker)
            #expect(receipt == .accepted(remaining: nil))
        }
        let status = try await fixture.status(batch)
        #expect(status.pages.done == 3 && status.pages.pending == 1)
        #expect(status.pages == (try await fixture.countedPages(batch)))
    }

    @Test(arguments: [[2], [1, 3], [1, 1], [16, 17]])
    func `pages that are not the next of the lease are refused`(pages: [Int]) async throws {
        let (fixture, batch, worker) = try await prepared()
        let lease = try #require(try await fixture.claim(worker))
        await #expect(throws: DatabaseError.self) {
            try await fixture.queue.record(pages.map { Fixture.done($0) }, lease: lease, worker: worker)
        }
        #expect(try await fixture.status(batch).pages.pending == 16)
    }

    @Test func `a late result of a lease that was taken away is not stored`() async throws {
        let (fixture, batch, slow) = try await prepared(pages: 2)
        let fast = try await fixture.worker("w2", pid: 101)
        let lost = try #require(try await fixture.claim(slow))
        try await fixture.queue.reportDead(workers: [slow])
        let lease = try #require(try await fixture.claim(fast))
        #expect(lease.pages == 1...2)
        #expect(lease.attempt == 1)
        #expect(lease.token != lost.token)
        let late = try await fixture.another().record(
            [Fixture.done(1, "late"), Fixture.done(2, "late")], lease: lost, worker: slow)
        #expect(late == .leaseLost)
        _ = try await fixture.queue.record(
            [Fixture.done(1, "good"), Fixture.done(2, "good")], lease: lease, worker: fast)
        let pages = try await fixture.queue.pages(document: lease.documentID, from: 1, limit: 10)
        #expect(pages.map(\.text?.markdown) == ["good", "good"])
        #expect(pages.map(\.token) == [lease.token, lease.token])
        #expect(try await fixture.status(batch).pages.done == 2)
        let reply = try await fixture.queue.heartbeat(worker: slow, tokens: [lost.token])
        #expect(reply.isUnknown)
    }

    @Test func `a heartbeat names the leases that are gone`() async throws {
        let (fixture, batch, worker) = try await prepared(pages: 20)
        let kept = try #require(try await fixture.claim(worker))
        let quiet = try await fixture.queue.heartbeat(worker: worker, tokens: [kept.token])
        #expect(quiet.lostTokens.isEmpty && !quiet.isUnknown && !quiet.shouldDrain)
        try await fixture.queue.setState(.cancelled, batch: batch)
        try await fixture.queue.drain(workers: nil)
        let reply = try await fixture.queue.heartbeat(worker: worker, tokens: [kept.token])
        #expect(reply.lostTokens == [kept.token])
        #expect(reply.shouldDrain)
    }

    @Test func `eight workers that claim at once never share a page`() async throws {
        let (fixture, batch, _) = try await prepared(pages: 16 * 40)
        let pages = try await withThrowingTaskGroup(of: [Int].self) { group in
            for number in 0..<8 {
                let queue = fixture.another()
                let worker = try await fixture.worker("w\(number)", pid: Int32(200 + number))
                group.addTask {
                    var mine: [Int] = []
                    while let lease = try await fixture.claim(worker, on: queue) {
                        mine += Array(lease.pages)
                        _ = try await queue.record(
                            lease.pages.map { Fixture.done($0) }, lease: lease, worker: worker)
                    }
                    return mine
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(pages.sorted() == Array(1...640))
        #expect(try await fixture.status(batch).pages.done == 640)
    }

    @Test func `released pages come back with their attempt not counted`() async throws {
        let (fixture, batch, worker) = try await prepared()
        let lease = try #require(try await fixture.claim(worker))
        _ = try await fixture.queue.record([Fixture.done(1)], lease: lease, worker: worker)
        try await fixture.queue.release(lease, worker: worker)
        try await fixture.queue.release(lease, worker: worker)
        let again = try #require(try await fixture.claim(worker))
        #expect(again.pages == 2...16 && again.attempt == 1)
        try await fixture.queue.unregister(worker: worker)
        #expect(try await fixture.status(batch).pages.leased == 0)
        #expect(try await fixture.claim(worker) == nil)
        let other = try await fixture.worker("w2", pid: 7)
        #expect(try await fixture.claim(other)?.attempt == 1)
    }

    @Test func `higher priority goes first, and equal ones share by weight`() async throws {
        let fixture = try await Fixture()
        let worker = try await fixture.worker()
        let low = try await fixture.openBatch("low", folder: "low")
        let high = try await fixture.openBatch("high", folder: "high", priority: 5)
        let light = try await fixture.openBatch("light", folder: "light", priority: 5)
        try await fixture.database.query("UPDATE quire.batch SET weight = 9 WHERE id = $1", [.int(high)])
        for (batch, name) in [(low, "low"), (high, "high"), (light, "light")] {
            _ = try await fixture.queue.add(
                (0..<200).map { Fixture.document(FilePath("\(name)/\($0)"), content: "\(name)\($0)", pages: 1) },
                to: batch)
        }
        var claims: [Int64: Int] = [:]
        for _ in 0..<100 { claims[try #require(try await fixture.claim(worker)).batchID, default: 0] += 1 }
        #expect(claims[low] == nil)
        #expect((claims[high] ?? 0) > 70)
        try await fixture.queue.setState(.paused, batch: high)
        try await fixture.queue.setState(.paused, batch: light)
        #expect(try await fixture.claim(worker)?.batchID == low)
    }

    @Test func `a worker is given only pages under roots that it reaches`() async throws {
        let (fixture, _, worker) = try await prepared(pages: 3)
        let root = Fixture.folder("archive").root
        let elsewhere = try await fixture.queue.claim(
            worker: worker, modelDigest: Fixture.model, roots: ["elsewhere"], leaseSeconds: 60)
        #expect(elsewhere == nil)
        let here = try await fixture.queue.claim(
            worker: worker, modelDigest: Fixture.model, roots: ["elsewhere", root], leaseSeconds: 60)
        #expect(here?.pages == 1...3)
    }

    @Test func `a worker is given only pages for its engine and its model, and says what it lacks`() async throws {
        let (fixture, _, _) = try await prepared(pages: 3)
        let identity = WorkerIdentity(
            name: "old", host: "here", bootID: "boot", pid: 7, processStartTicks: 5, device: "cpu",
            version: QuireVersion.current, modelDigest: Fixture.model, engineVersion: "0.0.9")
        let old = try await fixture.queue.register(identity)
        #expect(try await fixture.claim(old) == nil)
        let required = try #require(try await fixture.queue.requirements().first)
        let wanted = WorkRequirement(
            root: Fixture.folder().root, modelDigest: Fixture.model, engineVersion: QuireVersion.engine)
        #expect(required == wanted)
        let refusal = try #require(required.refusal(by: identity, roots: ["home"]))
        #expect(refusal.contains("engine \(QuireVersion.engine), and this worker has the engine 0.0.9"))

        var other = identity
        (other.engineVersion, other.modelDigest) = (QuireVersion.engine, String(repeating: "cd", count: 32))
        #expect(required.refusal(by: other, roots: ["home"])?.contains("for the model abab") == true)
        other.modelDigest = Fixture.model
        #expect(required.refusal(by: other, roots: ["nas"])?.contains("--root home=/PATH") == true)
        #expect(required.refusal(by: other, roots: ["home"]) == nil)
    }

    @Test func `results keep everything that was handed over`() async throws {
        let (fixture, _, worker) = try await prepared(pages: 3)
        let lease = try #require(try await fixture.claim(worker))
        let picture = Figure(name: "p0001-0.jpg", jpeg: (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        let text = "# Größe\u{0}\n" + String(repeating: "ß", count: 500_000)
        _ = try await fixture.queue.record(
            [Fixture.done(1, text, figures: [picture]), Fixture.blank(2), Fixture.failed(3, isPermanent: true)],
            lease: lease, worker: worker)
        let pages = try await fixture.queue.pages(document: lease.documentID, from: 1, limit: 10)
        #expect(pages.map(\.state) == [.done, .blank, .failed])
        let page = try #require(pages.first?.text)
        #expect(page.markdown == text.split(separator: "\u{0}").joined(separator: "\u{FFFD}"))
        #expect(page.figures == [picture])
        #expect(page.facts == PageFacts(width: 100, height: 200, dpi: 144, renderSeconds: 0.5))
        #expect(page.promptTokens == 10 && page.outputTokens == 20 && page.reachedEnd)
        #expect(page.encodeSeconds == 1 && page.prefillSeconds == 2 && page.decodeSeconds == 3)
        #expect(pages[0].workerName == "w1" && pages[0].pipeline == Fixture.pipeline() && pages[0].attempt == 1)
        #expect(pages[0].finishedAt.hasSuffix("Z") && pages[0].finishedAt.contains("T"))
        #expect(pages[1].facts == PageFacts(width: 10, height: 20, dpi: nil, renderSeconds: 0.25))
        #expect(pages[2].error == "It cannot be read.")
        #expect(try await fixture.queue.pages(document: lease.documentID, from: 2, limit: 1).map(\.page) == [2])
        let problems = try await fixture.queue.problemGroups(batch: nil, limit: 5)
        #expect(problems.map(\.path) == ["a.pdf"] && problems.map(\.page) == [3])
    }
}
