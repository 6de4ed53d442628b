import CUDAKernels

/// An NVIDIA GPU with the kernels loaded.
///
/// What is queued on a stream is done in its order, some time later; streams wait for each other only by events. One
/// thread at a time.
package final class CUDADevice {
    let handle: OpaquePointer
    package let description: Description
    let driver: Driver

    /// Queues of the device.
    package enum Stream: Int32, CaseIterable, Sendable {
        case decode = 0
        case encode = 1
    }

    /// What a GPU is.
    package struct Description: Sendable, Equatable, CustomStringConvertible {
        package let name: String
        package let totalBytes: Int
        package let freeBytes: Int
        /// Compute capability, for instance 9.0.
        package let capability: String
        package let multiprocessors: Int
        /// The version of CUDA that the driver supports, for instance 13.0.
        package let driver: String

        package var description: String {
            let free = freeBytes / (1 << 20)
            let total = totalBytes / (1 << 20)
            return "\(name), compute capability \(capability), \(multiprocessors) multiprocessors, "
                + "\(free) of \(total) MiB free, driver for CUDA \(driver)"
        }
    }

    /// Whether the kernels were compiled into this program.
    package static var isBuiltIn: Bool { quire_cuda_code_bytes() > 0 }

    /// What keeps this program from any GPU; nil where nothing does.
    package static func obstacle(driver: Driver = .system) -> Obstacle? { driver.obstacle }

    /// All GPUs that the driver shows.
    ///
    /// - Throws: `noDevice` with the reason where there is none to use.
    package static func all(driver: Driver = .system) throws(InferenceError) -> [Description] {
        let functions = try driver.functions()
        var found: [Description] = []
        for ordinal in 0..<Int(quire_cuda_device_count(functions.handle)) {
            found.append(try describe(ordinal, functions))
        }
        return found
    }

    /// Takes a GPU by its number.
    ///
    /// - Throws: `noDevice` with the reason where it cannot be had.
    package init(ordinal: Int, driver: Driver = .system) throws(InferenceError) {
        let functions = try driver.functions()
        description = try Self.describe(ordinal, functions)
        self.driver = driver
        var made: OpaquePointer?
        try Self.check(quire_cuda_open(functions.handle, Int32(ordinal), &made))
        guard let made else { throw .noDevice(reason: Obstacle.noDevice.sentence) }
        handle = made
    }

    deinit { quire_cuda_close(handle) }

    private static func describe(_ ordinal: Int, _ functions: DriverFunctions) throws(InferenceError) -> Description {
        var info = quire_cuda_info()
        try check(quire_cuda_describe(functions.handle, Int32(clamping: ordinal), &info))
        let name = withUnsafeBytes(of: info.name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return Description(
            name: name, totalBytes: info.total_bytes, freeBytes: info.free_bytes,
            capability: "\(info.major).\(info.minor)", multiprocessors: Int(info.multiprocessors),
            driver: versionText(functions.version))
    }

    static func versionText(_ version: Int32) -> String { "\(version / 1000).\(version % 1000 / 10)" }

    static func check(_ status: quire_cuda_status) throws(InferenceError) {
        guard status != QUIRE_CUDA_READY else { return }
        if let obstacle = Obstacle(rawValue: status.rawValue) { throw .noDevice(reason: obstacle.sentence) }
        throw .deviceFailed(reason: String(cString: quire_cuda_message()), isMemory: status == QUIRE_CUDA_OUT_OF_MEMORY)
    }
}

// MARK: Memory

extension CUDADevice {
    /// Bytes of the GPU's memory that nobody has taken now.
    package func freeBytes() throws(InferenceError) -> Int {
        var (free, total) = (0, 0)
        try Self.check(quire_cuda_memory(handle, &free, &total))
        return free
    }

    /// Takes memory, aligned to 256 bytes.
    ///
    /// - Throws: `deviceFailed` with `isMemory` where there is too little.
    package func allocate(_ bytes: Int) throws(InferenceError) -> UInt64 {
        var address: UInt64 = 0
        try Self.check(quire_cuda_allocate(handle, bytes, &address))
        return address
    }

    /// Gives memory back that nothing queued uses any more.
    package func free(_ address: UInt64) {
        // A failure shows at the next call that can report it.
        _ = quire_cuda_free(handle, address)
    }

    /// Takes memory of the host that is never paged out: copies from and to it run beside the host.
    package func allocateHost(_ bytes: Int) throws(InferenceError) -> UnsafeMutableRawBufferPointer {
        var memory: UnsafeMutableRawPointer?
        try Self.check(quire_cuda_allocate_host(handle, bytes, &memory))
        return UnsafeMutableRawBufferPointer(start: memory, count: bytes)
    }

    /// Gives memory of the host back that nothing queued uses any more.
    package func freeHost(_ memory: UnsafeMutableRawBufferPointer) {
        guard let base = memory.baseAddress else { return }
        // A failure shows at the next call that can report it.
        _ = quire_cuda_free_host(handle, base)
    }
}

// MARK: Streams

extension CUDADevice {
    /// Queues a copy to the GPU.
    ///
    /// The source stays as it is until the stream has come past the copy.
    package func copy(
        _ source: UnsafeRawBufferPointer, to address: UInt64, on stream: Stream
    ) throws(InferenceError) {
        guard let base = source.baseAddress, source.count > 0 else { return }
        try Self.check(quire_cuda_copy_in(handle, stream.rawValue, address, base, source.count))
    }

    /// Queues a copy from the GPU, which is there once the stream has come past it.
    package func copy(
        from address: UInt64, to target: UnsafeMutableRawBufferPointer, on stream: Stream
    ) throws(InferenceError) {
        guard let base = target.baseAddress, target.count > 0 else { return }
        try Self.check(quire_cuda_copy_out(handle, stream.rawValue, base, address, target.count))
    }

    /// Queues a copy within the GPU.
    package func copy(
        from source: UInt64, to target: UInt64, bytes: Int, on stream: Stream
    ) throws(InferenceError) {
        guard bytes > 0 else { return }
        try Self.check(quire_cuda_copy_within(handle, stream.rawValue, target, source, bytes))
    }

    /// Queues writing a value to each of so many bytes.
    package func fill(
        _ address: UInt64, with value: UInt8, bytes: Int, on stream: Stream
    ) throws(InferenceError) {
        guard bytes > 0 else { return }
        try Self.check(quire_cuda_fill(handle, stream.rawValue, address, value, bytes))
    }

    /// Queues a kernel.
    package func launch(_ launch: KernelLaunch, on stream: Stream) throws(InferenceError) {
        try Self.check(
            launch.withPointers { grid, block, arguments in
                quire_cuda_launch(handle, stream.rawValue, launch.name, grid, block, launch.shared, arguments)
            })
    }

    /// Waits until all that was queued on the stream is done; failures of it show here.
    package func wait(for stream: Stream) throws(InferenceError) {
        try Self.check(quire_cuda_wait(handle, stream.rawValue))
    }
}
