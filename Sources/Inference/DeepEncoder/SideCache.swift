private import Synchronization

/// Tables made once for each view side.
///
/// `@unchecked Sendable`: the dictionary is behind a lock, and what it holds is never written after it was made.
final class SideCache<Value>: @unchecked Sendable {
    private let lock = Mutex(())
    private var values: [Int: Value] = [:]

    /// The value for a side, made if there is none yet.
    ///
    /// - Throws: What went wrong on the backend until the value was made; it is not kept then.
    func value(
        for side: Int, on backend: some Backend, make: () -> Value
    ) throws(InferenceError) -> Value {
        try lock.withLock { (_) throws(InferenceError) in
            if let value = values[side] { return value }
            let value = make()
            try backend.check()
            values[side] = value
            return value
        }
    }
}
