private import Glibc
private import Synchronization

/// Aligned memory for floats, kept for the next owner when this one is gone.
///
/// A forward pass asks for the same few sizes again and again; fresh memory from the system would be cleared and mapped
/// page by page each time, which costs as much as some operations.
final class FloatBuffer {
    let count: Int
    private let size: Int
    private let base: UnsafeMutableRawPointer

    init(count: Int) {
        self.count = count
        size = RecycledMemory.size(for: max(count, 1) * MemoryLayout<Float>.stride)
        base = RecycledMemory.shared.take(size)
    }

    deinit { RecycledMemory.shared.put(base, size) }

    func withMutable<R>(_ body: (UnsafeMutablePointer<Float>) -> R) -> R {
        body(base.assumingMemoryBound(to: Float.self))
    }
}

/// Memory that was used and will be again.
private final class RecycledMemory: Sendable {
    static let shared = RecycledMemory()

    /// More than this is given back to the system.
    private static let mostKept = 512 << 20

    /// Addresses by size.
    ///
    /// `@unchecked Sendable`: used only under the lock below.
    private struct Kept: @unchecked Sendable {
        var free: [Int: [UnsafeMutableRawPointer]] = [:]
        var bytes = 0
    }

    private let kept = Mutex(Kept())

    /// Sizes in steps of an eighth, so that a little more or less still fits.
    static func size(for bytes: Int) -> Int {
        guard bytes > 4096 else { return (bytes + 63) & ~63 }
        let step = 1 << (Int.bitWidth - bytes.leadingZeroBitCount - 4)
        return (bytes + step - 1) & ~(step - 1)
    }

    func take(_ size: Int) -> UnsafeMutableRawPointer {
        let old: UnsafeMutableRawPointer? = kept.withLock { kept in
            guard let found = kept.free[size]?.popLast() else { return nil }
            kept.bytes -= size
            return found
        }
        if let old { return old }
        let isLarge = size >= 4 << 20
        let fresh = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: isLarge ? 2 << 20 : 64)
        if isLarge { madvise(fresh, size, MADV_HUGEPAGE) }
        return fresh
    }

    func put(_ memory: UnsafeMutableRawPointer, _ size: Int) {
        let isKept = kept.withLock { kept in
            guard kept.bytes + size <= Self.mostKept else { return false }
            kept.free[size, default: []].append(memory)
            kept.bytes += size
            return true
        }
        if !isKept { memory.deallocate() }
    }
}
