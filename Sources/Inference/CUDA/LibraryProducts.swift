import CUDAKernels

/// Products by cuBLASLt, which multiplies many rows faster than the own kernels.
///
/// A way is looked for once for each shape, so that what a row gives does not depend on how many rows there are.
final class LibraryProducts {
    private struct Shape: Hashable {
        let inputs: Int
        let outputs: Int
        let isAdded: Bool
        let hasBias: Bool
    }

    /// A way to make products of a shape.
    final class Way {
        let handle: OpaquePointer

        fileprivate init(_ handle: OpaquePointer) { self.handle = handle }

        deinit { quire_cuda_product_drop(handle) }
    }

    private let device: CUDADevice
    private let handle: OpaquePointer
    private let workspace: DeviceMemory
    /// nil for shapes that the library knows no way for.
    private var ways: [Shape: Way?] = [:]

    /// The one whose products share the workspace.
    static let stream = CUDADevice.Stream.encode

    /// What NVIDIA recommends for Hopper.
    private static let workspaceBytes = 32 << 20
    /// Four views of Base.
    private static let usualRows = 16_384

    /// The library of the device's driver; nil where there is none, or too little memory.
    init?(_ device: CUDADevice) {
        guard let handle = device.driver.openProducts(for: device) else { return nil }
        do {
            workspace = try DeviceMemory(device, bytes: Self.workspaceBytes)
        } catch {
            quire_cuda_products_close(handle)
            return nil
        }
        self.device = device
        self.handle = handle
    }

    deinit {
        // The workspace goes too.
        try? device.wait(for: Self.stream)
        ways = [:]
        quire_cuda_products_close(handle)
    }

    /// The library's version, for instance 13.8.2.
    var version: String {
        let number = quire_cuda_products_version(handle)
        return "\(number / 10_000).\(number / 100 % 100).\(number % 100)"
    }

    /// How products of a shape are made, added to sums of f32 or else as bfloat16; nil where the library does not know.
    func way(inputs: Int, outputs: Int, isAdded: Bool, hasBias: Bool) -> Way? {
        let shape = Shape(inputs: inputs, outputs: outputs, isAdded: isAdded, hasBias: hasBias)
        if let known = ways[shape] { return known }
        var found: OpaquePointer?
        // Whatever keeps the library from it, the own kernels can do it.
        _ = quire_cuda_product_plan(
            handle,
            quire_cuda_product_shape(
                rows: UInt64(Self.usualRows), inputs: UInt64(inputs), outputs: UInt64(outputs),
                is_added: isAdded ? 1 : 0, has_bias: hasBias ? 1 : 0),
            workspace.address, workspace.bytes, &found)
        let way = found.map(Way.init)
        ways[shape] = .some(way)
        return way
    }

    /// Queues y = x weight^T + bias, or y += that; the bias is of y's type.
    func multiply(
        _ way: Way, _ x: CUDATensor, _ weight: CUDAWeight, bias: CUDATensor?, into y: CUDATensor
    ) throws(InferenceError) {
        precondition(!x.isWide && bias.map { $0.isWide == y.isWide } != false, "x is narrow, and the bias is like y")
        try CUDADevice.check(
            quire_cuda_product_queue(
                way.handle, Self.stream.rawValue, UInt64(x.rows), x.block.address, weight.address,
                bias?.block.address ?? 0, y.block.address, workspace.address, workspace.bytes))
    }
}
