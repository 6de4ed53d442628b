private import Dispatch
private import Glibc

/// Reads a gigabyte from its beginning to its end, each thread its own part.
final class MemoryReading {
    private let threads: Int
    private let byteCount = 1 << 30
    private let memory: UnsafeMutableRawPointer

    init(threads: Int) {
        self.threads = threads
        memory = .allocate(byteCount: byteCount, alignment: 2 << 20)
        madvise(memory, byteCount, MADV_HUGEPAGE)
        memset(memory, 1, byteCount)
    }

    deinit { memory.deallocate() }

    /// Reads it once; bytes a second.
    func bandwidth() -> Double {
        let part = byteCount / threads / 256 * 256
        let sums = UnsafeMutablePointer<UInt64>.allocate(capacity: threads)
        defer { sums.deallocate() }
        nonisolated(unsafe) let (base, results) = (UnsafeRawPointer(memory), sums)
        let seconds =
            ContinuousClock().measure {
                DispatchQueue.concurrentPerform(iterations: threads) { thread in
                    results[thread] = Self.sum(base + thread * part, part)
                }
            } / .seconds(1)
        // Used, so that the reading is not left out.
        guard (0..<threads).allSatisfy({ sums[$0] > 0 }) else { return 0 }
        return Double(part * threads) / seconds
    }

    private static func sum(_ from: UnsafeRawPointer, _ byteCount: Int) -> UInt64 {
        var sums = (SIMD8<UInt64>.zero, SIMD8<UInt64>.zero, SIMD8<UInt64>.zero, SIMD8<UInt64>.zero)
        for offset in stride(from: 0, to: byteCount, by: 256) {
            sums.0 &+= from.load(fromByteOffset: offset, as: SIMD8<UInt64>.self)
            sums.1 &+= from.load(fromByteOffset: offset + 64, as: SIMD8<UInt64>.self)
            sums.2 &+= from.load(fromByteOffset: offset + 128, as: SIMD8<UInt64>.self)
            sums.3 &+= from.load(fromByteOffset: offset + 192, as: SIMD8<UInt64>.self)
        }
        return (sums.0 &+ sums.1 &+ sums.2 &+ sums.3).wrappedSum()
    }
}
