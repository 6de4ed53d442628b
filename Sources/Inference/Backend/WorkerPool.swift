private import Dispatch
private import Synchronization

/// The only place that starts threads: runs a number of independent tasks on at most `threads` of them.
struct WorkerPool: Sendable {
    let threads: Int

    /// Runs `body` for every task number; each thread that takes part has `scratch` floats of its own.
    ///
    /// Tasks are handed out one by one, so they may differ in length. With one thread or one task nothing is started.
    func run(_ tasks: Int, scratch: Int = 0, _ body: (_ task: Int, _ scratch: UnsafeMutablePointer<Float>) -> Void) {
        let workers = min(threads, tasks)
        guard workers > 1 else {
            FloatBuffer(count: scratch).withMutable { pointer in
                for task in 0..<tasks { body(task, pointer) }
            }
            return
        }
        let next = Atomic<Int>(0)
        withoutActuallyEscaping(body) { body in
            // Nothing outlives `concurrentPerform`, and tasks write to disjoint memory.
            nonisolated(unsafe) let body = body
            DispatchQueue.concurrentPerform(iterations: workers) { _ in
                FloatBuffer(count: scratch).withMutable { pointer in
                    while true {
                        let task = next.wrappingAdd(1, ordering: .relaxed).oldValue
                        guard task < tasks else { return }
                        body(task, pointer)
                    }
                }
            }
        }
    }

    /// Splits `count` things into ranges of at least `least`, a few for each thread, and runs `body` on each.
    func split(
        _ count: Int, least: Int, scratch: Int = 0,
        _ body: (_ range: Range<Int>, _ scratch: UnsafeMutablePointer<Float>) -> Void
    ) {
        let size = threads == 1 ? max(count, 1) : max(least, (count + 4 * threads - 1) / (4 * threads), 1)
        run((count + size - 1) / size, scratch: scratch) { task, pointer in
            body(task * size..<min(count, (task + 1) * size), pointer)
        }
    }
}
