private import Glibc

/// A GPU as the backend's values share it: memory, what failed, and the tables made once.
///
/// One thread at a time.
final class CUDAContext {
    let device: CUDADevice
    /// What a stream's results lie in.
    private var heaps: [DeviceHeap]
    private var rings: [StagingRing]
    /// What multiplies in the encoder where the machine has it; the decoder's steps are the own kernels'.
    let libraryProducts: LibraryProducts?
    /// What is put in the place of the decoder's heap while a step that will be repeated is run or noted.
    var recordingHeap: DeviceHeap?
    /// The first failure that nobody was told of; nothing is done until then.
    private(set) var failure: InferenceError?
    /// Where the time of each kernel is noted; steps are not repeated as graphs then.
    var profile: KernelProfile?
    /// RoPE's cosines and sines, `[positions, 2, width / 2]`.
    private var angles: [AnglesKey: DeviceMemory] = [:]

    private struct AnglesKey: Hashable {
        let theta: Float
        let width: Int
        let positions: Int
    }

    private static let stagingBytes = 64 << 20

    init(_ device: CUDADevice, usesLibrary: Bool) throws(InferenceError) {
        self.device = device
        libraryProducts = usesLibrary ? LibraryProducts(device) : nil
        heaps = CUDADevice.Stream.allCases.map { _ in DeviceHeap(device) }
        rings = []
        for stream in CUDADevice.Stream.allCases {
            rings.append(try StagingRing(device, stream, bytes: Self.stagingBytes))
        }
    }

    func ring(_ stream: CUDADevice.Stream) -> StagingRing { rings[Int(stream.rawValue)] }

    /// A block in the order of a stream; one that stands for nothing after a failure.
    func take(_ bytes: Int, on stream: CUDADevice.Stream) -> DeviceBlock {
        let heap = stream == .decode ? recordingHeap ?? heaps[0] : heaps[Int(stream.rawValue)]
        return attempt { () throws(InferenceError) in try heap.take(bytes) } ?? DeviceBlock()
    }

    /// Gives the driver all memory back that nobody uses.
    func trim() throws(InferenceError) {
        for stream in CUDADevice.Stream.allCases { try device.wait(for: stream) }
        for heap in heaps { heap.trim() }
    }

    /// Does something unless something failed before, and notes a failure.
    func attempt<R>(_ body: () throws(InferenceError) -> R) -> R? {
        guard failure == nil else { return nil }
        do throws(InferenceError) {
            return try body()
        } catch {
            failure = error
            return nil
        }
    }

    /// Throws what failed, once.
    func check() throws(InferenceError) {
        guard let failure else { return }
        self.failure = nil
        throw failure
    }

    /// The angles of all positions; they outlive what is noted for repetition.
    func angles(theta: Float, width: Int, positions: Int) -> UInt64 {
        let key = AnglesKey(theta: theta, width: width, positions: positions)
        if let known = angles[key] { return known.address }
        let half = width / 2
        var table: [Float] = []
        table.reserveCapacity(positions * width)
        let steps = (0..<half).map { 1 / powf(theta, Float($0) / Float(half)) }
        for position in 0..<positions {
            table += steps.map { cosf(Float(position) * $0) }
            table += steps.map { sinf(Float(position) * $0) }
        }
        let made = attempt { () throws(InferenceError) in try DeviceMemory(device, table) }
        angles[key] = made
        return made?.address ?? 0
    }
}
