import CUDAKernels

/// A mark in a stream: hosts ask whether it has been passed, and other streams wait for it.
package final class CUDAEvent {
    let handle: OpaquePointer
    private let device: CUDADevice

    init(_ handle: OpaquePointer, of device: CUDADevice) {
        self.handle = handle
        self.device = device
    }

    deinit { quire_cuda_event_destroy(device.handle, handle) }
}

extension CUDADevice {
    /// An event; only one that is timed can be asked for milliseconds.
    package func makeEvent(isTimed: Bool = false) throws(InferenceError) -> CUDAEvent {
        var made: OpaquePointer?
        try Self.check(quire_cuda_event_make(handle, isTimed ? 1 : 0, &made))
        guard let made else { throw .deviceFailed(reason: "the driver made no event", isMemory: false) }
        return CUDAEvent(made, of: self)
    }

    /// Marks what is queued on the stream so far, in place of what the event marked before.
    package func record(_ event: CUDAEvent, on stream: Stream) throws(InferenceError) {
        try Self.check(quire_cuda_event_record(handle, event.handle, stream.rawValue))
    }

    /// Lets what is queued on the stream from here on wait for the event.
    ///
    /// The host does not wait.
    package func wait(for event: CUDAEvent, on stream: Stream) throws(InferenceError) {
        try Self.check(quire_cuda_event_await(handle, event.handle, stream.rawValue))
    }

    /// Whether all that the event marks is done; also true for an event that marks nothing.
    package func hasPassed(_ event: CUDAEvent) throws(InferenceError) -> Bool {
        var passed: Int32 = 0
        try Self.check(quire_cuda_event_passed(handle, event.handle, &passed))
        return passed != 0
    }

    /// The time between two timed events that have passed.
    package func milliseconds(from start: CUDAEvent, to end: CUDAEvent) throws(InferenceError) -> Float {
        var time: Float = 0
        try Self.check(quire_cuda_event_elapsed(handle, start.handle, end.handle, &time))
        return time
    }
}
