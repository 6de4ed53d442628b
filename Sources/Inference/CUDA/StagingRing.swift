private import Glibc

/// Page-locked memory through which everything goes to a GPU, so that copies run while the processor goes on.
final class StagingRing {
    private let device: CUDADevice
    private let stream: CUDADevice.Stream
    private let memory: UnsafeMutableRawBufferPointer
    private var used = 0

    init(_ device: CUDADevice, _ stream: CUDADevice.Stream, bytes: Int) throws(InferenceError) {
        self.device = device
        self.stream = stream
        memory = try device.allocateHost(bytes)
    }

    deinit {
        // What is on its way still reads the memory.
        try? device.wait(for: stream)
        device.freeHost(memory)
    }

    /// Copies so many bytes, which `fill` writes, piece by piece: a pointer and the range of bytes that it is for.
    func copy(
        _ count: Int, to address: UInt64, align: Int = 1, _ fill: (UnsafeMutableRawPointer, Range<Int>) -> Void
    ) throws(InferenceError) {
        guard let base = memory.baseAddress else { return }
        var done = 0
        while done < count {
            if used + align > memory.count {
                try device.wait(for: stream)
                used = 0
            }
            let piece = min(count - done, (memory.count - used) / align * align)
            fill(base + used, done..<done + piece)
            let part = UnsafeRawBufferPointer(start: base + used, count: piece)
            try device.copy(part, to: address + UInt64(done), on: stream)
            used = (used + piece + 15) & ~15
            done += piece
        }
    }

    /// Copies bytes, which may change after the call.
    func copy(_ bytes: UnsafeRawBufferPointer, to address: UInt64) throws(InferenceError) {
        guard let from = bytes.baseAddress else { return }
        try copy(bytes.count, to: address) { to, range in memcpy(to, from + range.lowerBound, range.count) }
    }
}
