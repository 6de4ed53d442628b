import Claiming
import Shared
import Testing

/// With a real queue.
@Suite struct LeaseWorkTests {
    typealias Fixture = WorkerFixture

    @Test func `pages that finish out of order are stored once each, as soon as those before them are`() async throws {
        let fixture = try await Fixture(pages: 5)
        let work = try #require(try await fixture.claim())
        for page in [3, 5, 2] { await work.settle(Fixture.blank(page)) }
        await work.store()
        #expect(try await fixture.stored(work.lease).isEmpty)
        await work.settle(Fixture.blank(1))
        await work.store()
        #expect(try await fixture.stored(work.lease) == [1, 2, 3])
        await work.settle(Fixture.blank(4))
        await work.end()
        #expect(try await fixture.stored(work.lease) == [1, 2, 3, 4, 5])
        let status = try await fixture.status()
        #expect(status.pages.blank == 5 && status.isFinished)
        #expect(try await fixture.number("SELECT count(*) FROM quire.attempt WHERE outcome = 'done'") == 1)
    }

    @Test func `several leases at once are stored and ended each by itself`() async throws {
        let fixture = try await Fixture(pages: 2, 2, 2)
        let first = try #require(try await fixture.claim())
        let second = try #require(try await fixture.claim())
        let third = try #require(try await fixture.claim())
        #expect(try await fixture.status().pages.leased == 6)
        // Their pages finish in turns, the last lease's first.
        for page in [2, 1] {
            for work in [third, first, second] { await work.settle(Fixture.blank(page)) }
        }
        await third.end()
        #expect(try await fixture.stored(third.lease) == [1, 2])
        #expect(try await fixture.stored(first.lease).isEmpty)
        await first.end()
        await second.end()
        let status = try await fixture.status()
        #expect(status.pages.blank == 6 && status.pages.pending == 0)
        let reply = try await fixture.queue.heartbeat(worker: fixture.heartbeat.workerID, tokens: [])
        #expect(reply.lostTokens.isEmpty && !reply.isUnknown)
    }

    @Test func `what is unfinished at the end is given back, without the cost of an attempt`() async throws {
        let fixture = try await Fixture(pages: 4)
        let work = try #require(try await fixture.claim())
        for page in [1, 2, 4] { await work.settle(Fixture.blank(page)) }
        await work.end()
        #expect(try await fixture.stored(work.lease) == [1, 2], "4 cannot be stored without 3")
        let again = try #require(try await fixture.claim())
        #expect(again.lease.pages == 3...4)
        #expect(again.lease.attempt == 1)
    }

    @Test func `a lease that is taken away stores nothing, and the others go on`() async throws {
        let fixture = try await Fixture(pages: 3, 3)
        let lost = try #require(try await fixture.claim())
        let kept = try #require(try await fixture.claim())
        for work in [lost, kept] { await work.settle(Fixture.blank(1)) }
        let other = try await fixture.takeAway(lost.lease)
        let drain = DrainSignal(nil)
        try await fixture.heartbeat.beat(queue: fixture.queue, identity: Fixture.identity, drain: drain)
        #expect(fixture.heartbeat.isLost(lost.lease.token))
        #expect(!fixture.heartbeat.isLost(kept.lease.token))
        #expect(!drain.isDraining)
        for work in [lost, kept] {
            for page in [3, 2] { await work.settle(Fixture.blank(page)) }
            await work.end()
        }
        #expect(try await fixture.stored(lost.lease).isEmpty)
        #expect(try await fixture.stored(kept.lease) == [1, 2, 3])
        #expect(await !lost.needs(1), "nobody works on it any more")
        // The other worker still holds the range.
        #expect(try await fixture.claim() == nil)
        try await fixture.queue.unregister(worker: other)
        #expect(try await fixture.claim()?.lease.pages == 1...3)
    }

    @Test func `a problem of one lease fails its own pages only`() async throws {
        let fixture = try await Fixture(pages: 2, 2)
        let broken = try #require(try await fixture.claim())
        let other = try #require(try await fixture.claim())
        await broken.failRest(reason: "The file has changed since it was submitted.", isPermanent: true)
        await broken.end()
        for page in [2, 1] { await other.settle(Fixture.blank(page)) }
        await other.end()
        let pages = try await fixture.status().pages
        #expect(pages.failed == 2 && pages.blank == 2 && pages.pending == 0)
    }

    @Test func `told to leave, it begins with no page but those before one that has begun`() async throws {
        let fixture = try await Fixture(pages: 6)
        let work = try #require(try await fixture.claim())
        // The engine may come to a later page first.
        #expect(work.begins(3, isDraining: false))
        #expect(work.begins(2, isDraining: false))
        #expect(work.begins(3, isDraining: true) && work.begins(2, isDraining: true), "they have begun")
        #expect(work.begins(1, isDraining: true), "without it 2 and 3 cannot be stored")
        #expect(!work.begins(4, isDraining: true) && !work.begins(6, isDraining: true))
        let another = try await Fixture(pages: 1)
        let unbegun = try #require(try await another.claim())
        #expect(!unbegun.begins(1, isDraining: true))
    }
}
