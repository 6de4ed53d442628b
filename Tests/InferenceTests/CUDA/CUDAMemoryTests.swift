import Inference
import Parity
import Testing

/// Memory of a device, and what goes wrong with it and with kernels.
@Suite struct CUDAMemoryTests {
    @Test(arguments: TestDriver.all) func `memory is aligned and is as much as was asked for`(driver: TestDriver) throws
    {
        let device = try driver.device()
        for bytes in [0, 1, 255, 256, 257, 70_000] {
            let memory = try DeviceMemory(device, bytes: bytes)
            #expect(memory.address % 256 == 0 && memory.address != 0)
            let values = (0..<bytes).map { UInt8(truncatingIfNeeded: $0) }
            try memory.write(values)
            #expect(try memory.read(UInt8.self, bytes) == values)
        }
    }

    @Test(arguments: TestDriver.all) func `too much memory is refused as that`(driver: TestDriver) throws {
        let device = try driver.device()
        let refused = InferenceError.deviceFailed(reason: "out of memory", isMemory: true)
        #expect(throws: refused) { try device.allocate(1 << 50) }
        // The device goes on.
        #expect(try DeviceMemory(device, [1, 2] as [Int32]).read(Int32.self, 2) == [1, 2])
    }

    @Test func `memory that is given back is free again`() throws {
        let shim = try Shim()
        shim.limit(to: 1000)
        let refused = InferenceError.deviceFailed(reason: "out of memory", isMemory: true)
        let address = try shim.device.allocate(600)
        #expect(try shim.device.freeBytes() == 400)
        #expect(throws: refused) { try shim.device.allocate(401) }
        let other = try shim.device.allocate(400)
        #expect(try shim.device.freeBytes() == 0)
        shim.device.free(address)
        #expect(try shim.device.freeBytes() == 600)
        shim.device.free(other)
        shim.device.free(try shim.device.allocate(1000))
    }

    @Test func `new memory holds no numbers`() throws {
        let device = try Shim().device
        let memory = try DeviceMemory(device, bytes: 64)
        #expect(try memory.read(Float.self, 16).allSatisfy(\.isNaN))
    }

    @Test(arguments: TestDriver.all) func `pinned memory carries bytes both ways`(driver: TestDriver) throws {
        let device = try driver.device()
        let (out, back) = (try device.allocateHost(5000), try device.allocateHost(5000))
        defer { for memory in [out, back] { device.freeHost(memory) } }
        #expect(out.count == 5000)
        for i in 0..<5000 { out[i] = UInt8(truncatingIfNeeded: i * 7) }
        let memory = try DeviceMemory(device, bytes: 5000)
        try device.copy(UnsafeRawBufferPointer(out), to: memory.address, on: .encode)
        try device.copy(from: memory.address, to: back, on: .encode)
        try device.wait(for: .encode)
        #expect(back.elementsEqual(out))
    }

    @Test(arguments: TestDriver.shims) func `copies outside of memory are refused`(driver: TestDriver) throws {
        let device = try driver.device()
        let memory = try DeviceMemory(device, bytes: 64)
        let refused = InferenceError.deviceFailed(reason: "invalid argument", isMemory: false)
        #expect(throws: refused) { try device.fill(memory.address + 1, with: 0, bytes: 64, on: .decode) }
        #expect(throws: refused) {
            try device.copy(from: memory.address, to: memory.address + 64, bytes: 1, on: .decode)
        }
        try device.fill(memory.address + 63, with: 0, bytes: 1, on: .decode)
        try device.wait(for: .decode)
    }

    // MARK: Kernels that fail

    @Test(arguments: TestDriver.all) func `a kernel that does not exist is named`(driver: TestDriver) throws {
        let device = try driver.device()
        let refused = InferenceError.deviceFailed(reason: "nothing: named symbol not found", isMemory: false)
        #expect(throws: refused) {
            try device.launch(KernelLaunch("nothing", grid: (1, 1, 1), threads: 32, [.int(1)]), on: .decode)
        }
        try device.wait(for: .decode)
    }

    @Test(arguments: TestDriver.all) func `a grid that no device has is refused`(driver: TestDriver) throws {
        let device = try driver.device()
        let memory = try DeviceMemory(device, bytes: 64)
        let refused = InferenceError.deviceFailed(reason: "widen: invalid argument", isMemory: false)
        for grid in [(0, 1, 1), (1, 70_000, 1)] {
            let launch = KernelLaunch(
                "widen", grid: grid, threads: 256, [.address(memory.address), .address(memory.address), .long(0)])
            #expect(throws: refused) { try device.launch(launch, on: .decode) }
        }
    }

    @Test(arguments: TestDriver.shims)
    func `a kernel that fails breaks the device when somebody waits`(driver: TestDriver) throws {
        let device = try driver.device()
        let (x, y) = (try DeviceMemory(device, bytes: 4096), try DeviceMemory(device, bytes: 4096))
        // Rows must lie at multiples of 16 bytes.
        let arguments: [KernelLaunch.Argument] = [
            .address(x.address + 2), .address(x.address), .address(0), .address(y.address), .int(1), .int(64), .int(8),
            .int(8), .int(0),
        ]
        try device.launch(
            KernelLaunch("product_16", grid: (9, 1, 1), threads: 128, shared: 3 * 144 * 128, arguments), on: .encode)
        let reason = "product_16: an access of 16 bytes is not aligned"
        let failure = InferenceError.deviceFailed(reason: reason, isMemory: false)
        #expect(throws: failure) { try device.wait(for: .encode) }
        // Like a GPU it does nothing more, and says why.
        #expect(throws: failure) { try device.allocate(8) }
        #expect(throws: failure) { try device.wait(for: .decode) }
    }

    // MARK: What no call reports

    @Test func `writes outside of an allocation are found`() throws {
        let device = try Shim().device
        let x = try DeviceMemory(device, [Float](repeating: 1, count: 16))
        let small = try device.allocate(32)
        try device.launch(
            KernelLaunch("add_f32", grid: (1, 1, 1), threads: 32, [.address(small), x.argument, .long(16), .long(16)]),
            on: .decode)
        withKnownIssue {
            device.free(small)
        } matching: {
            "\($0)".contains("outside of 32 bytes")
        }
    }

    @Test func `writes outside of an allocation are found at the device's end`() throws {
        try withKnownIssue {
            let device = try Shim().device
            let x = try DeviceMemory(device, [Float](repeating: 1, count: 16))
            let small = try device.allocate(32)
            try device.launch(
                KernelLaunch(
                    "add_f32", grid: (1, 1, 1), threads: 32, [.address(small), x.argument, .long(16), .long(16)]),
                on: .decode)
            try device.wait(for: .decode)
        } matching: {
            "\($0)".contains("outside of 32 bytes")
        }
    }

    @Test func `writes to memory that was given back are found`() throws {
        try withKnownIssue {
            let device = try Shim().device
            let x = try DeviceMemory(device, [Float](repeating: 1, count: 8))
            let old = try device.allocate(32)
            device.free(old)
            try device.launch(
                KernelLaunch("narrow", grid: (1, 1, 1), threads: 32, [x.argument, .address(old), .long(8)]),
                on: .decode)
            try device.wait(for: .decode)
        } matching: {
            "\($0)".contains("after they were given back")
        }
    }

    @Test func `pinned memory that is given back too early is found`() throws {
        let device = try Shim().device
        let memory = try DeviceMemory(device, bytes: 8)
        let staging = try device.allocateHost(8)
        try device.copy(from: memory.address, to: staging, on: .encode)
        withKnownIssue {
            device.freeHost(staging)
        } matching: {
            "\($0)".contains("a copy still needs it")
        }
    }
}
