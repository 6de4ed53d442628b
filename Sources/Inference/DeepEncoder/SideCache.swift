private import Synchronization

/// Tables made once for each view side.
///
/// `@unchecked Sendable`: the dictionary is behind a lock, and what it holds is never written after it was made.
final class SideCache<Value>: @unchecked Sendable {
    private let lock = Mutex(())
    private var values: [Int: Value] = [:]

    /// The value for a side, made if there is none yet.
    func value(for side: Int, make: () -> Value) -> Value {
        lock.withLock { _ in
            if let value = values[side] { return value }
            let value = make()
            values[side] = value
            return value
        }
    }
}
