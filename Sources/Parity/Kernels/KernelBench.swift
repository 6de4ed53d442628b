package import Inference

/// Makes random inputs for a kernel, runs it and reads what it left.
package final class KernelBench {
    package let device: CUDADevice
    private var state: UInt64

    package init(_ device: CUDADevice, seed: UInt64) {
        self.device = device
        state = seed
    }

    /// Evenly spread numbers from 0 to 2^32 - 1 (a linear congruence with mixed bits).
    package func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let mixed = (state ^ (state >> 29)) &* 0xBF58_476D_1CE4_E5B9
        return mixed >> 32
    }

    package func integer(below limit: Int) -> Int { Int(next() % UInt64(limit)) }

    /// Numbers between -`size` and `size` that bfloat16 holds.
    package func numbers(_ count: Int, size: Float = 1) -> [Float] {
        (0..<count).map { _ in BFloat.rounded((Float(next()) / 2_147_483_648 - 1) * size) }
    }

    /// Small whole numbers, whose products add up without rounding.
    package func wholeNumbers(_ count: Int, upTo limit: Int = 3) -> [Float] {
        (0..<count).map { _ in Float(integer(below: 2 * limit + 1) - limit) }
    }

    package func wide(_ values: [Float]) throws(InferenceError) -> DeviceMemory { try DeviceMemory(device, values) }

    package func narrow(_ values: [Float]) throws(InferenceError) -> DeviceMemory {
        try DeviceMemory(device, values.map(BFloat.bits))
    }

    package func integers(_ values: [Int]) throws(InferenceError) -> DeviceMemory {
        try DeviceMemory(device, values.map { Int32($0) })
    }

    /// Memory for results, filled with NaNs in either type.
    package func results(bytes: Int) throws(InferenceError) -> DeviceMemory {
        try DeviceMemory(device, Array(repeating: UInt8(0xff), count: bytes))
    }

    package func readNarrow(_ memory: DeviceMemory, _ count: Int) throws(InferenceError) -> [Float] {
        try memory.read(UInt16.self, count).map { Float(bitPattern: UInt32($0) << 16) }
    }

    package func readIntegers(_ memory: DeviceMemory, _ count: Int) throws(InferenceError) -> [Int] {
        try memory.read(Int32.self, count).map { Int($0) }
    }

    package func launch(
        _ name: String, grid: (x: Int, y: Int, z: Int), threads: Int, shared: Int = 0,
        _ arguments: [KernelLaunch.Argument]
    ) throws(InferenceError) {
        try device.launch(KernelLaunch(name, grid: grid, threads: threads, shared: shared, arguments), on: .decode)
    }

    /// The largest difference beside the largest wanted value; infinite where something is not a number.
    package static func error(_ found: [Float], _ wanted: [Double]) -> Double {
        guard found.count == wanted.count else { return .infinity }
        let largest = wanted.reduce(0) { max($0, abs($1)) }
        var most = 0.0
        for (a, b) in zip(found, wanted) {
            let difference = abs(Double(a) - b)
            guard difference.isFinite else { return .infinity }
            most = max(most, difference)
        }
        return largest > 0 ? most / largest : most
    }

    /// How many integers differ.
    package static func differences(_ found: [Int], _ wanted: [Int]) -> Double {
        found.count == wanted.count ? Double(zip(found, wanted).count { $0 != $1 }) : .infinity
    }
}

extension DeviceMemory {
    /// The address as a kernel's argument.
    package var argument: KernelLaunch.Argument { .address(address) }
}

/// One kernel on one input, held against a plain computation in f64.
package struct KernelCase: Sendable, CustomStringConvertible {
    package let name: String
    /// The largest error that passes: relative to the largest value, or a number of differences.
    package let limit: Double
    /// Runs the kernel and returns the error.
    package let run: @Sendable (CUDADevice) throws(InferenceError) -> Double

    package var description: String { name }

    init(
        _ name: String, limit: Double, seed: UInt64 = 1,
        _ run: @escaping @Sendable (KernelBench) throws(InferenceError) -> Double
    ) {
        self.name = name
        self.limit = limit
        self.run = { (device) throws(InferenceError) in try run(KernelBench(device, seed: seed)) }
    }

    /// Half a step of bfloat16, and what f32 sums add to it.
    static let rounding = 0.004
    static let exact = 0.0

    /// All cases.
    package static var all: [KernelCase] { rows + experts + products + choices + attentions + assemblies }
}
