/// Memory of a device, which is given back with the last reference: by then nothing queued uses it.
package final class DeviceMemory {
    package let device: CUDADevice
    package let address: UInt64
    package let bytes: Int

    package init(_ device: CUDADevice, bytes: Int) throws(InferenceError) {
        self.device = device
        self.bytes = bytes
        address = try device.allocate(bytes)
    }

    /// Memory that holds an array's elements.
    package convenience init<Element: BitwiseCopyable>(
        _ device: CUDADevice, _ elements: [Element]
    ) throws(InferenceError) {
        try self.init(device, bytes: elements.count * MemoryLayout<Element>.stride)
        try write(elements)
    }

    deinit { device.free(address) }

    /// Copies elements to the beginning and waits.
    package func write<Element: BitwiseCopyable>(_ elements: [Element]) throws(InferenceError) {
        precondition(elements.count * MemoryLayout<Element>.stride <= bytes, "the elements fit")
        let result = elements.withUnsafeBytes { buffer in
            Result { () throws(InferenceError) in
                try device.copy(buffer, to: address, on: .decode)
                try device.wait(for: .decode)
            }
        }
        try result.get()
    }

    /// The first `count` elements, once all that was queued for decoding is done.
    package func read<Element: BitwiseCopyable>(
        _ type: Element.Type, _ count: Int
    ) throws(InferenceError) -> [Element] {
        precondition(count * MemoryLayout<Element>.stride <= bytes, "so many are there")
        let buffer = UnsafeMutableBufferPointer<Element>.allocate(capacity: count)
        defer { buffer.deallocate() }
        try device.copy(from: address, to: UnsafeMutableRawBufferPointer(buffer), on: .decode)
        try device.wait(for: .decode)
        return Array(buffer)
    }
}
