private import CUDAKernels

/// An NVIDIA GPU with the kernels loaded.
///
/// The driver's library is opened at run time: a program runs with and without a GPU.
package final class CUDADevice: KernelDevice {
    private let handle: OpaquePointer
    package let description: Description

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

    /// Why there is no GPU to compute on.
    package enum Obstacle: UInt32, Sendable, CaseIterable {
        case noCode = 1
        case noDriver = 2
        case oldDriver = 3
        case noDevice = 4
        case oldDevice = 5

        /// What is wrong and what to do.
        package var sentence: String {
            switch self {
            case .noCode:
                "this program was built without GPU code: run `make cuda`, then build again"
            case .noDriver:
                "there is no NVIDIA driver (libcuda.so.1 was not found): install one for CUDA 13.0, version 580 or newer"
            case .oldDriver:
                "the NVIDIA driver is too old\(Self.found): install one for CUDA 13.0, version 580 or newer"
            case .noDevice:
                "the NVIDIA driver shows no such GPU: `nvidia-smi` and CUDA_VISIBLE_DEVICES say which there are"
            case .oldDevice:
                "the GPU is too old: the kernels need compute capability 8.0 (Ampere) or newer"
            }
        }

        private static var found: String {
            let version = quire_cuda_driver_version()
            return version > 0 ? " (it supports CUDA \(CUDADevice.versionText(version)))" : ""
        }
    }

    /// Whether the kernels were compiled into this program.
    package static var isBuiltIn: Bool { quire_cuda_code_bytes() > 0 }

    /// All GPUs that the driver shows.
    ///
    /// - Throws: `noDevice` with the reason where there is none to use.
    package static func all(library: String = "libcuda.so.1") throws(InferenceError) -> [Description] {
        if let obstacle = obstacle(library: library) { throw .noDevice(reason: obstacle.sentence) }
        var found: [Description] = []
        for ordinal in 0..<Int(quire_cuda_device_count()) { found.append(try describe(ordinal)) }
        return found
    }

    /// What keeps this program from any GPU; nil where nothing does.
    package static func obstacle(library: String = "libcuda.so.1") -> Obstacle? {
        guard isBuiltIn else { return .noCode }
        return Obstacle(rawValue: quire_cuda_load(library).rawValue)
    }

    /// Takes a GPU by its number.
    ///
    /// - Throws: `noDevice` with the reason where it cannot be had.
    package init(ordinal: Int) throws(InferenceError) {
        if let obstacle = Self.obstacle() { throw .noDevice(reason: obstacle.sentence) }
        description = try Self.describe(ordinal)
        var made: OpaquePointer?
        try Self.check(quire_cuda_open(Int32(ordinal), &made))
        guard let made else { throw .noDevice(reason: Obstacle.noDevice.sentence) }
        handle = made
    }

    deinit { quire_cuda_close(handle) }

    private static func describe(_ ordinal: Int) throws(InferenceError) -> Description {
        var info = quire_cuda_info()
        try check(quire_cuda_describe(Int32(clamping: ordinal), &info))
        let name = withUnsafeBytes(of: info.name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return Description(
            name: name, totalBytes: info.total_bytes, freeBytes: info.free_bytes,
            capability: "\(info.major).\(info.minor)", multiprocessors: Int(info.multiprocessors),
            driver: versionText(quire_cuda_driver_version()))
    }

    private static func versionText(_ version: Int32) -> String { "\(version / 1000).\(version % 1000 / 10)" }

    private static func check(_ status: quire_cuda_status) throws(InferenceError) {
        guard status != QUIRE_CUDA_READY else { return }
        if let obstacle = Obstacle(rawValue: status.rawValue) { throw .noDevice(reason: obstacle.sentence) }
        throw .deviceFailed(reason: String(cString: quire_cuda_message()), isMemory: status == QUIRE_CUDA_OUT_OF_MEMORY)
    }

    // MARK: KernelDevice

    package func allocate(_ bytes: Int) throws(InferenceError) -> UInt64 {
        var address: UInt64 = 0
        try Self.check(quire_cuda_allocate(handle, bytes, &address))
        return address
    }

    package func free(_ address: UInt64) {
        // A failure shows at the next call that can report it.
        _ = quire_cuda_free(handle, address)
    }

    package func copy(_ bytes: UnsafeRawBufferPointer, to address: UInt64) throws(InferenceError) {
        guard let base = bytes.baseAddress else { return }
        try Self.check(quire_cuda_copy_in(handle, address, base, bytes.count))
    }

    package func copy(from address: UInt64, to bytes: UnsafeMutableRawBufferPointer) throws(InferenceError) {
        guard let base = bytes.baseAddress else { return }
        try Self.check(quire_cuda_copy_out(handle, base, address, bytes.count))
    }

    package func launch(_ launch: KernelLaunch) throws(InferenceError) {
        try Self.check(
            launch.withPointers { grid, block, arguments in
                quire_cuda_launch(handle, launch.name, grid, block, launch.shared, arguments)
            })
    }
}
