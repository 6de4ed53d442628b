import Inference
import Testing

/// What is captured once and done again and again.
@Suite struct CUDAGraphTests {
    @Test(arguments: TestDriver.all) func `a graph is done with what its memory holds then`(driver: TestDriver) throws {
        let device = try driver.device()
        let x = try DeviceMemory(device, [Float](repeating: 1, count: 8))
        let sum = try DeviceMemory(device, [Float](repeating: 0, count: 8))
        let input = try device.allocateHost(32)
        defer { device.freeHost(input) }
        let floats = input.bindMemory(to: Float.self)
        let graph = try device.capture(on: .decode) { () throws(InferenceError) in
            try device.copy(UnsafeRawBufferPointer(input), to: x.address, on: .decode)
            try device.add(x, to: sum, count: 8, on: .decode)
            try device.add(x, to: sum, count: 8, on: .decode)
        }
        #expect(try sum.read(Float.self, 8) == Array(repeating: 0, count: 8), "captured, not done")
        var wanted: Float = 0
        for (value, stream) in [(3, .decode), (5, .encode), (7, .decode)] as [(Float, CUDADevice.Stream)] {
            for i in 0..<8 { floats[i] = value }
            try device.launch(graph, on: stream)
            try device.wait(for: stream)
            wanted += 2 * value
            #expect(try sum.read(Float.self, 8) == Array(repeating: wanted, count: 8))
        }
    }

    @Test(arguments: TestDriver.all) func `a graph keeps its place in the stream`(driver: TestDriver) throws {
        let device = try driver.device()
        let sum = try DeviceMemory(device, [Float](repeating: 1, count: 8))
        let graph = try device.capture(on: .decode) { () throws(InferenceError) in
            try device.add(sum, to: sum, count: 8, on: .decode)
        }
        try device.launch(graph, on: .decode)
        try device.fill(sum.address, with: 0, bytes: 16, on: .decode)
        try device.launch(graph, on: .decode)
        #expect(try sum.read(Float.self, 8) == [0, 0, 0, 0, 4, 4, 4, 4])
    }

    @Test func `work of the other stream goes on during a capture`() throws {
        let shim = try Shim()
        let sum = try DeviceMemory(shim.device, [Float](repeating: 1, count: 8))
        let graph = try shim.device.capture(on: .decode) { () throws(InferenceError) in
            try shim.device.add(sum, to: sum, count: 8, on: .encode)
            try shim.device.wait(for: .encode)
        }
        #expect(shim.launches == ["add_f32": 1])
        try shim.device.launch(graph, on: .decode)
        #expect(try sum.read(Float.self, 8) == Array(repeating: 2, count: 8), "the graph is empty")
    }

    @Test(arguments: TestDriver.all) func `a capture that throws ends`(driver: TestDriver) throws {
        let device = try driver.device()
        let sum = try DeviceMemory(device, [Float](repeating: 1, count: 8))
        #expect(throws: InferenceError.cancelled) {
            _ = try device.capture(on: .decode) { () throws(InferenceError) in
                try device.add(sum, to: sum, count: 8, on: .decode)
                throw .cancelled
            }
        }
        #expect(try sum.read(Float.self, 8) == Array(repeating: 1, count: 8))
        try device.add(sum, to: sum, count: 8, on: .decode)
        #expect(try sum.read(Float.self, 8) == Array(repeating: 2, count: 8))
    }

    @Test(arguments: TestDriver.all) func `waiting spoils a capture`(driver: TestDriver) throws {
        let device = try driver.device()
        let refused = InferenceError.deviceFailed(
            reason: "operation not permitted when stream is capturing", isMemory: false)
        #expect(throws: refused) {
            _ = try device.capture(on: .decode) { () throws(InferenceError) in try device.wait(for: .decode) }
        }
        let spoiled = InferenceError.deviceFailed(
            reason: "operation failed due to a previous error during capture", isMemory: false)
        #expect(throws: spoiled) {
            // Not even a body that goes on has a graph.
            _ = try device.capture(on: .decode) { try? device.wait(for: .decode) }
        }
        try device.wait(for: .decode)
    }

    @Test(arguments: TestDriver.shims) func `a capture neither takes nor gives back memory`(driver: TestDriver) throws {
        let device = try driver.device()
        let refused = InferenceError.deviceFailed(
            reason: "operation not permitted when stream is capturing", isMemory: false)
        #expect(throws: refused) {
            _ = try device.capture(on: .decode) { () throws(InferenceError) in _ = try device.allocate(8) }
        }
        #expect(throws: refused) {
            _ = try device.capture(on: .decode) { () throws(InferenceError) in _ = try device.allocateHost(8) }
        }
        let event = try device.makeEvent()
        #expect(throws: refused) {
            _ = try device.capture(on: .decode) { () throws(InferenceError) in try device.record(event, on: .decode) }
        }
        let address = try device.allocate(8)
        let spoiled = InferenceError.deviceFailed(
            reason: "operation failed due to a previous error during capture", isMemory: false)
        #expect(throws: spoiled) { _ = try device.capture(on: .decode) { device.free(address) } }
        device.free(address)
    }
}
