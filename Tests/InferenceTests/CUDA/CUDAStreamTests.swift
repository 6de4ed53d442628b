import Inference
import Testing

/// The order in which a device does what is queued.
@Suite struct CUDAStreamTests {
    @Test(arguments: TestDriver.all) func `a stream does what is queued in its order`(driver: TestDriver) throws {
        let device = try driver.device()
        let x = try DeviceMemory(device, (0..<2056).map { Float($0) })
        let (sum, copy) = (try DeviceMemory(device, bytes: x.bytes), try DeviceMemory(device, bytes: x.bytes))
        for stream in CUDADevice.Stream.allCases {
            try device.fill(sum.address, with: 0, bytes: sum.bytes, on: stream)
            try device.add(x, to: sum, count: 2056, on: stream)
            try device.copy(from: sum.address, to: copy.address, bytes: sum.bytes, on: stream)
            try device.add(x, to: sum, count: 2056, on: stream)
            try device.wait(for: stream)
            #expect(try copy.read(Float.self, 2056) == (0..<2056).map { Float($0) })
            #expect(try sum.read(Float.self, 2056) == (0..<2056).map { Float(2 * $0) })
        }
    }

    @Test(arguments: TestDriver.all) func `a stream waits for an event of the other`(driver: TestDriver) throws {
        let device = try driver.device()
        let (x, y) = (try DeviceMemory(device, [1, 2, 3] as [Int32]), try DeviceMemory(device, bytes: 12))
        try device.fill(y.address, with: 0, bytes: 12, on: .decode)
        let (isEmpty, isFull) = (try device.makeEvent(), try device.makeEvent())
        try device.record(isEmpty, on: .decode)
        try device.wait(for: isEmpty, on: .encode)
        try device.copy(from: x.address, to: y.address, bytes: 12, on: .encode)
        try device.record(isFull, on: .encode)
        try device.wait(for: isFull, on: .decode)
        // On the decoding stream, which alone is waited for.
        #expect(try y.read(Int32.self, 3) == [1, 2, 3])
        #expect(try device.hasPassed(isEmpty) && device.hasPassed(isFull))
    }

    @Test(arguments: TestDriver.all) func `an event is its last record`(driver: TestDriver) throws {
        let device = try driver.device()
        let (x, y) = (try DeviceMemory(device, [Int32(0)]), try DeviceMemory(device, [Int32(0)]))
        let event = try device.makeEvent()
        #expect(try device.hasPassed(event), "an event that marks nothing")
        try device.fill(x.address, with: 1, bytes: 4, on: .encode)
        try device.record(event, on: .encode)
        try device.fill(x.address, with: 2, bytes: 4, on: .encode)
        try device.record(event, on: .encode)
        try device.wait(for: event, on: .decode)
        try device.copy(from: x.address, to: y.address, bytes: 4, on: .decode)
        #expect(try y.read(Int32.self, 1) == [0x0202_0202])
    }

    @Test(arguments: TestDriver.all) func `events pass while the host asks`(driver: TestDriver) throws {
        let device = try driver.device()
        let memory = try DeviceMemory(device, [UInt8](repeating: 0, count: 8))
        let (start, end) = (try device.makeEvent(isTimed: true), try device.makeEvent(isTimed: true))
        try device.record(start, on: .encode)
        for value in 1...5 { try device.fill(memory.address, with: UInt8(value), bytes: 8, on: .encode) }
        try device.record(end, on: .encode)
        var asked = 1
        while try !device.hasPassed(end) { asked += 1 }
        if driver != .system { #expect(asked == 7, "an operation each time") }
        #expect(try device.milliseconds(from: start, to: end) >= 0)
        #expect(try memory.read(UInt8.self, 8) == Array(repeating: 5, count: 8))
    }

    @Test(arguments: TestDriver.all) func `time is told only between timed events`(driver: TestDriver) throws {
        let device = try driver.device()
        let (timed, plain) = (try device.makeEvent(isTimed: true), try device.makeEvent())
        let refused = InferenceError.deviceFailed(reason: "invalid resource handle", isMemory: false)
        #expect(throws: refused) { try device.milliseconds(from: timed, to: timed) }
        for event in [timed, plain] { try device.record(event, on: .decode) }
        if driver != .system {
            let early = InferenceError.deviceFailed(reason: "device not ready", isMemory: false)
            #expect(throws: early) { try device.milliseconds(from: timed, to: timed) }
        }
        try device.wait(for: .decode)
        #expect(try device.milliseconds(from: timed, to: timed) == 0)
        #expect(throws: refused) { try device.milliseconds(from: timed, to: plain) }
    }

    // MARK: As late as may be

    @Test(arguments: TestDriver.shims) func `copies use the host's memory late`(driver: TestDriver) throws {
        let device = try driver.device()
        let staging = try device.allocateHost(8)
        defer { device.freeHost(staging) }
        let memory = try DeviceMemory(device, bytes: 8)
        staging.copyBytes(from: [1, 1, 1, 1, 1, 1, 1, 1])
        try device.copy(UnsafeRawBufferPointer(staging), to: memory.address, on: .encode)
        // Too early: the copy takes what is there when it is done.
        staging.copyBytes(from: [2, 2, 2, 2, 2, 2, 2, 2])
        try device.wait(for: .encode)
        #expect(try memory.read(UInt8.self, 8) == Array(repeating: 2, count: 8))

        try device.fill(memory.address, with: 3, bytes: 8, on: .encode)
        try device.copy(from: memory.address, to: staging, on: .encode)
        #expect(staging.allSatisfy { $0 == 2 }, "not before somebody waits")
        try device.wait(for: .encode)
        #expect(staging.allSatisfy { $0 == 3 })
    }

    @Test func `a wait does no more than it has to, or all that it may`() throws {
        for isReversed in [false, true] {
            let device = try Shim(isReversed: isReversed).device
            let memory = try DeviceMemory(device, [UInt8](repeating: 0, count: 8))
            try device.fill(memory.address, with: 7, bytes: 8, on: .encode)
            // Without an event nobody knows which comes first.
            #expect(try memory.read(UInt8.self, 8) == Array(repeating: isReversed ? 7 : 0, count: 8))
            try device.wait(for: .encode)
        }
    }

    @Test(arguments: TestDriver.shims) func `events hold streams back both ways`(driver: TestDriver) throws {
        let device = try driver.device()
        let memory = try DeviceMemory(device, [UInt8](repeating: 0, count: 8))
        let event = try device.makeEvent()
        try device.record(event, on: .decode)
        try device.copy(from: memory.address, to: memory.address, bytes: 8, on: .decode)
        try device.record(event, on: .decode)
        try device.wait(for: event, on: .encode)
        try device.fill(memory.address, with: 7, bytes: 8, on: .encode)
        let seen = try device.allocateHost(8)
        defer { device.freeHost(seen) }
        try device.copy(from: memory.address, to: seen, on: .encode)
        try device.wait(for: .encode)
        #expect(try device.hasPassed(event) && seen.allSatisfy { $0 == 7 })
    }

    @Test func `what a device did is counted`() throws {
        let shim = try Shim()
        let x = try DeviceMemory(shim.device, [Float](repeating: 1, count: 8))
        let before = shim.waits
        for _ in 0..<3 { try shim.device.add(x, to: x, count: 8, on: .encode) }
        #expect(shim.launches.isEmpty && shim.waits == before)
        try shim.device.wait(for: .encode)
        #expect(shim.launches == ["add_f32": 3] && shim.waits == before + 1)
        #expect(try x.read(Float.self, 8) == Array(repeating: 8, count: 8))
        #expect(shim.waits == before + 2)
    }
}
