import Dispatch
import Glibc
import Inference
import Synchronization
import Testing

@Suite struct WorkerPoolTests {
    private static let threads = [1, 2, 3, 64]

    @Test(arguments: threads)
    func `every task is done once, whether there are more or fewer than threads`(threads: Int) {
        let pool = WorkerPool(threads: threads)
        for tasks in [0, 1, 2, 3, 4, 63, 64, 65, 1000] {
            let done = Counters(tasks)
            pool.run(tasks) { task, _ in done.add(task) }
            #expect(done.all == Array(repeating: 1, count: tasks), "\(tasks) tasks")
        }
    }

    @Test(arguments: threads)
    func `thousands of short rounds lose nothing`(threads: Int) {
        let pool = WorkerPool(threads: threads)
        let done = Counters(9)
        var wanted = Array(repeating: 0, count: 9)
        for round in 0..<(threads == 64 ? 500 : 5000) {
            let tasks = round % 10
            for task in 0..<tasks { wanted[task] += 1 }
            pool.run(tasks) { task, _ in done.add(task) }
            // Now and then the helpers fall asleep between two rounds.
            if round % 500 == 499 { usleep(2000) }
        }
        #expect(done.all == wanted)
    }

    @Test(arguments: threads)
    func `what tasks wrote is seen after the round`(threads: Int) {
        let pool = WorkerPool(threads: threads)
        let memory = UnsafeMutableBufferPointer<Int>.allocate(capacity: 256)
        defer { memory.deallocate() }
        memory.initialize(repeating: 0)
        nonisolated(unsafe) let shared = memory
        for round in 1...200 {
            pool.run(256) { task, _ in shared[task] += round }
            #expect(memory.allSatisfy { $0 == round * (round + 1) / 2 })
        }
    }

    @Test(arguments: threads)
    func `callers on several threads wait for one another`(threads: Int) {
        let pool = WorkerPool(threads: threads)
        let done = (0..<4).map { _ in Counters(7) }
        let caller = Atomic<Int>(-1)
        let strangers = Atomic<Int>(0)
        let rounds = threads == 64 ? 100 : 1000
        DispatchQueue.concurrentPerform(iterations: 4) { own in
            for _ in 0..<rounds {
                pool.run(7) { task, _ in
                    if task == 0 { caller.store(own, ordering: .relaxed) }
                    done[own].add(task)
                }
                pool.run(1) { _, _ in
                    caller.store(own, ordering: .sequentiallyConsistent)
                    for _ in 0..<20 where caller.load(ordering: .sequentiallyConsistent) != own {
                        strangers.wrappingAdd(1, ordering: .relaxed)
                    }
                }
            }
        }
        for counters in done { #expect(counters.all == Array(repeating: rounds, count: 7)) }
        #expect(strangers.load(ordering: .relaxed) == 0)
    }

    @Test(arguments: threads)
    func `each thread has scratch memory of its own`(threads: Int) {
        let pool = WorkerPool(threads: threads)
        let spoilt = Atomic<Int>(0)
        // Larger and smaller rounds by turns: what was enough is kept, what is too small is replaced.
        for count in [1, 5000, 16, 100_000, 3] {
            pool.run(200, scratch: count) { task, scratch in
                scratch.update(repeating: Float(task), count: count)
                sched_yield()
                for place in 0..<count where scratch[place] != Float(task) {
                    spoilt.wrappingAdd(1, ordering: .relaxed)
                }
            }
        }
        #expect(spoilt.load(ordering: .relaxed) == 0)
    }

    @Test(arguments: threads)
    func `split covers everything once, in parts that are not too small`(threads: Int) {
        let pool = WorkerPool(threads: threads)
        for count in [0, 1, 2, 15, 64, 1000, 4099] {
            for least in [1, 7, 64, 5000] {
                let (done, small) = (Counters(count), Counters(1))
                pool.split(count, least: least) { range, _ in
                    for place in range { done.add(place) }
                    // Only the last part may be smaller.
                    if range.count < least, range.upperBound < count || range.isEmpty { small.add(0) }
                }
                #expect(done.all == Array(repeating: 1, count: count) && small.all == [0])
            }
        }
    }

    @Test(arguments: threads)
    func `threads end with their pool`(threads: Int) {
        let ids = Mutex(Set<String>())
        func work() {
            let pool = WorkerPool(threads: threads)
            #expect(pool.threads == threads)
            for _ in 0..<20 {
                pool.run(4 * threads) { _, _ in
                    let own = currentThread()
                    ids.withLock { _ = $0.insert(own) }
                    usleep(50)
                }
            }
        }
        work()
        let helpers = ids.withLock { $0.subtracting([currentThread()]) }
        #expect(helpers.count < threads && (threads == 1 || !helpers.isEmpty))
        // A thread that was waited for may stand in the system's list a moment longer.
        for helper in helpers {
            var looks = 0
            while access("/proc/\(helper)", F_OK) == 0, looks < 5000 {
                looks += 1
                usleep(1000)
            }
            #expect(looks < 5000, "thread \(helper) is still there")
        }
    }

    /// The path under `/proc` of the thread that asks.
    private func currentThread() -> String {
        var path = Array(repeating: CChar(0), count: 64)
        // One less than there is room for: the last stays the zero that ends a string.
        readlink("/proc/thread-self", &path, path.count - 1)
        return path.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
    }

    @Test func `pools that never worked and many short-lived ones go away as well`() {
        for round in 0..<100 {
            let pool = WorkerPool(threads: 1 + round % 5)
            guard round % 3 > 0 else { continue }
            let done = Counters(3)
            pool.run(3) { task, _ in done.add(task) }
            #expect(done.all == [1, 1, 1])
        }
    }
}

/// Numbers that many threads count up.
private final class Counters: Sendable {
    private let counts: Mutex<[Int]>

    init(_ count: Int) { counts = Mutex(Array(repeating: 0, count: count)) }

    func add(_ place: Int) { counts.withLock { $0[place] += 1 } }

    var all: [Int] { counts.withLock { $0 } }
}
