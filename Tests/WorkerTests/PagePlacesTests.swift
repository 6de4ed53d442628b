import Claiming
import Synchronization
import Testing

@Suite struct PagePlacesTests {
    @Test func `no more pages are in hand than there are places, and each gets its turn`() async {
        let places = PagePlaces(3)
        let counts = Counts()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<200 {
                await places.take()
                counts.began()
                group.addTask {
                    await Task.yield()
                    counts.ended()
                    places.give()
                }
            }
        }
        #expect(counts.most <= 3)
        #expect(counts.all == 200 && counts.now == 0)
    }

    @Test func `a place that is given back goes to who waits`() async {
        let places = PagePlaces(1)
        await places.take()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await places.take() }
            places.give()
            await group.waitForAll()
        }
        // It is taken again: what is given now is the only free place.
        places.give()
        await places.take()
    }

    @Test(arguments: [0, 1, 20])
    func `a lease ends after the last page in hand`(pages: Int) async {
        let inHand = WorkInHand(1)
        let counts = Counts()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<pages {
                inHand.begin()
                counts.began()
                group.addTask {
                    await Task.yield()
                    counts.ended()
                    inHand.end()
                }
            }
            inHand.end()
            await inHand.waitForNone()
            #expect(counts.all == pages)
        }
    }
}

/// How many things are under way, were at most at once, and have ended.
private final class Counts: Sendable {
    private let state = Mutex((now: 0, most: 0, all: 0))

    var now: Int { state.withLock { $0.now } }
    var most: Int { state.withLock { $0.most } }
    var all: Int { state.withLock { $0.all } }

    func began() {
        state.withLock {
            $0.now += 1
            $0.most = max($0.most, $0.now)
        }
    }

    func ended() {
        state.withLock {
            $0.now -= 1
            $0.all += 1
        }
    }
}
