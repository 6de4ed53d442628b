/// Memory of a GPU for what comes and goes, taken from the driver once and then reused.
///
/// A heap belongs to one stream: a block is free as soon as nobody on the processor names it, since what is queued later
/// runs later. A GPU waits for everything when the driver gives or takes memory; a heap does so only while it grows.
final class DeviceHeap {
    private let device: CUDADevice
    /// Whether blocks stay at their addresses as long as the heap lives, whoever uses them.
    private let isPermanent: Bool
    /// Blocks that nobody uses, by size.
    private var idle: [Int: [UInt64]] = [:]
    /// Bytes that were taken from the driver.
    private(set) var bytes = 0

    init(_ device: CUDADevice, isPermanent: Bool = false) {
        self.device = device
        self.isPermanent = isPermanent
    }

    deinit {
        // Blocks keep their heap: by now all are idle.
        for stream in CUDADevice.Stream.allCases { try? device.wait(for: stream) }
        giveBack()
    }

    /// A block of at least so many bytes.
    func take(_ count: Int) throws(InferenceError) -> DeviceBlock {
        let size = Self.size(count)
        if let address = idle[size]?.popLast() { return DeviceBlock(address: address, size: size, heap: self) }
        let address: UInt64
        do {
            address = try device.allocate(size)
        } catch .deviceFailed(_, isMemory: true) where bytes > 0 && !isPermanent {
            // What lies idle in other sizes may be enough.
            for stream in CUDADevice.Stream.allCases { try device.wait(for: stream) }
            trim()
            address = try device.allocate(size)
        }
        bytes += size
        return DeviceBlock(address: address, size: size, heap: self)
    }

    fileprivate func give(_ address: UInt64, size: Int) { idle[size, default: []].append(address) }

    /// Gives all idle blocks back to the driver; nothing that is queued may use them.
    func trim() {
        if !isPermanent { giveBack() }
    }

    private func giveBack() {
        for (size, addresses) in idle {
            for address in addresses { device.free(address) }
            bytes -= size * addresses.count
        }
        idle = [:]
    }

    /// Sizes are eighths of powers of two, so that blocks fit again for slightly other sizes.
    private static func size(_ count: Int) -> Int {
        let least = max(count, 512)
        let step = max(512, (1 << (Int.bitWidth - 1 - least.leadingZeroBitCount)) / 8)
        return (least + step - 1) / step * step
    }
}

/// Memory of a heap, which is given back with the last reference.
final class DeviceBlock {
    let address: UInt64
    private let size: Int
    private let heap: DeviceHeap?

    fileprivate init(address: UInt64, size: Int, heap: DeviceHeap) {
        self.address = address
        self.size = size
        self.heap = heap
    }

    /// Stands for a block that could not be had, after a failure: nothing is done with it.
    init() {
        address = 0
        size = 0
        heap = nil
    }

    deinit { heap?.give(address, size: size) }
}
