import CUDAShim
import Inference
import Testing

extension CUDADevice.Driver {
    /// The driver whose GPU is the processor; see `cuda_shim.h` for what is reversed.
    static func shim(isReversed: Bool = false, products: Lookup? = nil) -> CUDADevice.Driver {
        _ = reports
        return isReversed
            ? CUDADevice.Driver(lookup: { quire_shim_backwards($0) }, products: products)
            : CUDADevice.Driver(lookup: { quire_shim_forwards($0) }, products: products)
    }

    /// What no call reports fails the test that it happens in.
    private static let reports: Void = quire_shim_report { Issue.record("\(String(cString: $0))") }
}

/// A device of the shim, and what it says of itself.
final class Shim {
    let device: CUDADevice
    /// The shim's own, which is there as long as the device.
    private let handle: OpaquePointer

    /// A device of its own; `products` is what is in the place of cuBLASLt.
    init(isReversed: Bool = false, products: CUDADevice.Driver.Lookup? = nil) throws {
        device = try CUDADevice(ordinal: 0, driver: .shim(isReversed: isReversed, products: products))
        handle = try #require(quire_shim_current())
    }

    /// Leaves the device so many bytes, those that are taken included.
    func limit(to bytes: Int) { quire_shim_limit(handle, bytes) }

    /// How often the host waited for the device.
    var waits: Int { quire_shim_waits(handle) }

    /// How many products cuBLASLt made.
    var libraryProducts: Int { quire_shim_product_count(handle) }

    /// How many graphs were launched.
    var graphLaunches: Int { quire_shim_graphs(handle) }

    /// How often each kernel ran.
    var launches: [String: Int] {
        var found: [String: Int] = [:]
        var count = 0
        var number = 0
        while let name = quire_shim_kernel(handle, number, &count) {
            if count > 0 { found[String(cString: name)] = count }
            number += 1
        }
        return found
    }
}

/// A driver that a test runs on: the shim's, and NVIDIA's where there is a GPU.
enum TestDriver: Sendable {
    case forwards, backwards, system

    static let shims: [TestDriver] = [.forwards, .backwards]
    static let all: [TestDriver] = shims + (CUDADevice.obstacle() == nil ? [.system] : [])

    func device() throws(InferenceError) -> CUDADevice {
        let driver: CUDADevice.Driver =
            switch self {
            case .forwards: .shim()
            case .backwards: .shim(isReversed: true)
            case .system: .system
            }
        return try CUDADevice(ordinal: 0, driver: driver)
    }
}

extension CUDADevice {
    /// Queues sum += x for arrays of floats, a multiple of 8 long.
    func add(_ x: DeviceMemory, to sum: DeviceMemory, count: Int, on stream: Stream) throws(InferenceError) {
        let arguments: [KernelLaunch.Argument] = [
            .address(sum.address), .address(x.address), .long(count), .long(count),
        ]
        try launch(KernelLaunch("add_f32", grid: ((count + 2047) / 2048, 1, 1), threads: 256, arguments), on: stream)
    }
}
