/// How long each kernel runs on a GPU, by its name.
package final class KernelProfile {
    /// What all launches of a kernel took together.
    package struct Time: Sendable {
        package let kernel: String
        package fileprivate(set) var launches: Int
        package fileprivate(set) var milliseconds: Double
    }

    private struct Run {
        let kernel: String
        let start: CUDAEvent
        let end: CUDAEvent
    }

    private let device: CUDADevice
    private var runs: [Run] = []

    init(_ device: CUDADevice) { self.device = device }

    func run<R>(
        _ kernel: String, on stream: CUDADevice.Stream, _ queue: () throws(InferenceError) -> R
    ) throws(InferenceError) -> R {
        let run = Run(
            kernel: kernel, start: try device.makeEvent(isTimed: true), end: try device.makeEvent(isTimed: true))
        try device.record(run.start, on: stream)
        let result = try queue()
        try device.record(run.end, on: stream)
        runs.append(run)
        return result
    }

    /// The kernels that took longest first.
    func times() throws(InferenceError) -> [Time] {
        for stream in CUDADevice.Stream.allCases { try device.wait(for: stream) }
        var times: [String: Time] = [:]
        for run in runs {
            let milliseconds = Double(try device.milliseconds(from: run.start, to: run.end))
            times[run.kernel, default: Time(kernel: run.kernel, launches: 0, milliseconds: 0)].launches += 1
            times[run.kernel]?.milliseconds += milliseconds
        }
        return times.values.sorted { ($0.milliseconds, $1.kernel) > ($1.milliseconds, $0.kernel) }
    }
}
