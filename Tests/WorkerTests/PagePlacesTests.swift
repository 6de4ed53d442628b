import Synchronization
import Testing
import Worker

@Suite struct PagePlacesTests {
    @Test func `no more pages are in hand than there are places, and each gets its turn`() async {
        let places = PagePlaces(3)
        let counts = Mutex((now: 0, most: 0, all: 0))
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<200 {
                await places.take()
                counts.withLock {
                    $0.now += 1
                    $0.most = max($0.most, $0.now)
                }
                group.addTask {
                    await Task.yield()
                    counts.withLock {
                        $0.now -= 1
                        $0.all += 1
                    }
                    places.give()
                }
            }
        }
        counts.withLock {
            #expect($0.most <= 3)
            #expect($0.all == 200 && $0.now == 0)
        }
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
        let inHand = PagesInHand(1)
        let finished = Mutex(0)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<pages {
                inHand.begin()
                group.addTask {
                    await Task.yield()
                    finished.withLock { $0 += 1 }
                    inHand.end()
                }
            }
            inHand.end()
            await inHand.waitForNone()
            #expect(finished.withLock { $0 } == pages)
        }
    }
}
