private import Dispatch
private import Glibc
private import Synchronization

/// One thread that lives as long as the program, on which every child is started.
///
/// A child asks the kernel to be killed when its parent dies, and "parent" there means the *thread* that started
/// it: children of a Dispatch thread would die when that thread is retired.
final class SpawnThread: Sendable {
    static let shared = SpawnThread()

    private let work = Mutex<[@Sendable () -> Void]>([])
    private let waiting = DispatchSemaphore(value: 0)

    private init() {
        var thread = pthread_t()
        let itself = Unmanaged.passRetained(self).toOpaque()
        let failure = pthread_create(&thread, nil, { SpawnThread.body($0) }, itself)
        precondition(failure == 0, "no thread can be started")
        pthread_detach(thread)
    }

    private static func body(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        guard let argument else { return nil }
        let itself = Unmanaged<SpawnThread>.fromOpaque(argument).takeRetainedValue()
        while true {
            itself.waiting.wait()
            let next = itself.work.withLock { $0.isEmpty ? nil : $0.removeFirst() }
            next?()
        }
    }

    /// Runs a body on the thread and waits for it: for Dispatch threads, never for the cooperative pool.
    func run<T: Sendable>(_ body: @escaping @Sendable () -> T) -> T {
        let result = ResultSlot<T>()
        let done = DispatchSemaphore(value: 0)
        work.withLock {
            $0.append {
                result.value.withLock { $0 = body() }
                done.signal()
            }
        }
        waiting.signal()
        while true {
            done.wait()
            if let value = result.value.withLock({ $0 }) { return value }
        }
    }

    private final class ResultSlot<T: Sendable>: Sendable {
        let value = Mutex<T?>(nil)
    }
}
