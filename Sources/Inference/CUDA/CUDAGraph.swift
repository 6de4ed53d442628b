import CUDAKernels

/// Launches and copies that were captured once and are queued together, with the addresses that they had then.
package final class CUDAGraph {
    let handle: OpaquePointer
    private let device: CUDADevice

    init(_ handle: OpaquePointer, of device: CUDADevice) {
        self.handle = handle
        self.device = device
    }

    deinit { quire_cuda_graph_destroy(device.handle, handle) }
}

extension CUDADevice {
    /// Notes what `body` queues on the stream instead of doing it.
    ///
    /// It neither allocates, frees nor waits.
    ///
    /// - Throws: What `body` throws, or what the driver says of the capture; the stream is no longer captured then.
    package func capture(
        on stream: Stream, _ body: () throws(InferenceError) -> Void
    ) throws(InferenceError) -> CUDAGraph {
        try Self.check(quire_cuda_capture_begin(handle, stream.rawValue))
        do {
            try body()
        } catch {
            quire_cuda_capture_abandon(handle, stream.rawValue)
            throw error
        }
        var made: OpaquePointer?
        try Self.check(quire_cuda_capture_end(handle, stream.rawValue, &made))
        guard let made else { throw .deviceFailed(reason: "the driver made no graph", isMemory: false) }
        return CUDAGraph(made, of: self)
    }

    /// Queues all that the graph holds.
    package func launch(_ graph: CUDAGraph, on stream: Stream) throws(InferenceError) {
        try Self.check(quire_cuda_graph_launch(handle, graph.handle, stream.rawValue))
    }
}
