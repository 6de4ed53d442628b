private import CKernels
private import Glibc
private import Synchronization

/// The only place that starts threads: runs a number of independent tasks on at most `threads` of them.
///
/// The threads live as long as the pool. One that has nothing to do looks for work for some tens of microseconds,
/// since the next operation of a forward pass is near and waking a thread takes longer than most, and then sleeps.
///
/// `@unchecked Sendable`: `job` is written only while `lock` is held and no helper runs, and read by helpers only between
/// the start that they saw and their own finish.
package final class WorkerPool: @unchecked Sendable {
    package let threads: Int
    private let shared: Shared
    private let lock = Mutex(())
    private var helpers: [pthread_t] = []

    package init(threads: Int) {
        self.threads = threads
        shared = Shared(threads: threads)
    }

    deinit {
        shared.stop()
        for helper in helpers { pthread_join(helper, nil) }
    }

    /// Runs `body` for every task number; each thread that takes part has `scratch` floats of its own.
    ///
    /// Tasks are handed out one by one, so they may differ in length. With one thread or one task no other is woken.
    /// Callers wait for one another.
    package func run(
        _ tasks: Int, scratch: Int = 0, _ body: (_ task: Int, _ scratch: UnsafeMutablePointer<Float>) -> Void
    ) {
        guard tasks > 0 else { return }
        lock.withLock { _ in
            if threads == 1 || tasks == 1 {
                let pointer = shared.scratch(0, atLeast: scratch)
                for task in 0..<tasks { body(task, pointer) }
                return
            }
            if helpers.isEmpty { helpers = (1..<threads).map { shared.startHelper($0) } }
            withoutActuallyEscaping(body) { shared.perform(tasks, scratch: scratch, $0) }
        }
    }

    /// Splits `count` things into ranges of at least `least`, a few for each thread, and runs `body` on each.
    package func split(
        _ count: Int, least: Int, scratch: Int = 0,
        _ body: (_ range: Range<Int>, _ scratch: UnsafeMutablePointer<Float>) -> Void
    ) {
        let size = threads == 1 ? max(count, 1) : max(least, (count + 4 * threads - 1) / (4 * threads), 1)
        run((count + size - 1) / size, scratch: scratch) { task, pointer in
            body(task * size..<min(count, (task + 1) * size), pointer)
        }
    }
}

/// What the threads of a pool share.
///
/// `@unchecked Sendable`: see `WorkerPool`; each thread uses its own scratch memory only.
private final class Shared: @unchecked Sendable {
    private typealias Body = (Int, UnsafeMutablePointer<Float>) -> Void

    /// How often a thread looks for work before it sleeps: for less than 100 microseconds.
    ///
    /// Where threads have no processor of their own, looking takes it from those that have work.
    private let looks: Int

    private let threads: Int
    /// Counts jobs; a helper that sees a new number takes part.
    private let round = Atomic<Int>(0)
    private let nextTask = Atomic<Int>(0)
    private let working = Atomic<Int>(0)
    private let isStopping = Atomic<Bool>(false)
    private let sleeping = Atomic<Int>(0)
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let wake: UnsafeMutablePointer<pthread_cond_t>
    private var tasks = 0
    private var scratchCount = 0
    private var body: Body?
    private let scratches: [Scratch]

    init(threads: Int) {
        self.threads = threads
        looks = threads <= max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) ? 4_000 : 100
        scratches = (0..<threads).map { _ in Scratch() }
        mutex = .allocate(capacity: 1)
        wake = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(wake, nil)
    }

    deinit {
        pthread_cond_destroy(wake)
        pthread_mutex_destroy(mutex)
        wake.deallocate()
        mutex.deallocate()
    }

    /// A thread's own scratch memory; kept for the next job.
    func scratch(_ thread: Int, atLeast count: Int) -> UnsafeMutablePointer<Float> {
        let own = scratches[thread]
        if own.buffer.count < count { own.buffer = FloatBuffer(count: count) }
        return own.buffer.withMutable { $0 }
    }

    func perform(_ tasks: Int, scratch: Int, _ body: @escaping (Int, UnsafeMutablePointer<Float>) -> Void) {
        self.tasks = tasks
        scratchCount = scratch
        self.body = body
        nextTask.store(0, ordering: .relaxed)
        working.store(threads - 1, ordering: .relaxed)
        round.wrappingAdd(1, ordering: .sequentiallyConsistent)
        if sleeping.load(ordering: .sequentiallyConsistent) > 0 {
            pthread_mutex_lock(mutex)
            pthread_cond_broadcast(wake)
            pthread_mutex_unlock(mutex)
        }
        takePart(0)
        // The others are within their last tasks; where there are fewer processors than threads they need this one.
        var tries = 0
        while working.load(ordering: .acquiring) > 0 {
            tries += 1
            if tries < looks { quire_pause() } else { sched_yield() }
        }
        self.body = nil
    }

    func stop() {
        isStopping.store(true, ordering: .sequentiallyConsistent)
        round.wrappingAdd(1, ordering: .sequentiallyConsistent)
        pthread_mutex_lock(mutex)
        pthread_cond_broadcast(wake)
        pthread_mutex_unlock(mutex)
    }

    func startHelper(_ number: Int) -> pthread_t {
        var thread = pthread_t()
        let start = Unmanaged.passRetained(HelperStart(shared: self, number: number))
        let result = pthread_create(
            &thread, nil,
            { pointer in
                guard let pointer else { return nil }
                let start = Unmanaged<HelperStart>.fromOpaque(pointer).takeRetainedValue()
                start.shared.help(start.number)
                return nil
            }, start.toOpaque())
        precondition(result == 0, "the system starts as many threads as were asked for")
        return thread
    }

    /// A helper's life.
    private func help(_ number: Int) {
        var seen = 0
        while true {
            var tries = 0
            while round.load(ordering: .acquiring) == seen {
                tries += 1
                if tries < looks { quire_pause() } else { sleepUntilRound(after: seen) }
            }
            if isStopping.load(ordering: .acquiring) { return }
            seen += 1
            takePart(number)
            working.wrappingSubtract(1, ordering: .releasing)
        }
    }

    private func sleepUntilRound(after seen: Int) {
        pthread_mutex_lock(mutex)
        sleeping.wrappingAdd(1, ordering: .sequentiallyConsistent)
        while round.load(ordering: .sequentiallyConsistent) == seen { pthread_cond_wait(wake, mutex) }
        sleeping.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        pthread_mutex_unlock(mutex)
    }

    private func takePart(_ thread: Int) {
        guard let body else { return }
        let pointer = scratch(thread, atLeast: scratchCount)
        while true {
            let task = nextTask.wrappingAdd(1, ordering: .relaxed).oldValue
            guard task < tasks else { return }
            body(task, pointer)
        }
    }
}

/// One thread's scratch memory.
private final class Scratch {
    var buffer = FloatBuffer(count: 0)
}

private final class HelperStart {
    let shared: Shared
    let number: Int

    init(shared: Shared, number: Int) {
        self.shared = shared
        self.number = number
    }
}
