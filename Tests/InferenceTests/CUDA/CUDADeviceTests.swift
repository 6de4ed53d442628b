import Inference
import Testing

/// What is said where there is no GPU.
@Suite struct CUDADeviceTests {
    @Test func `without a driver a sentence says so`() {
        let driver = CUDADevice.Driver(library: "libcuda-that-is-not-there.so.1")
        #expect(CUDADevice.obstacle(driver: driver) == (CUDADevice.isBuiltIn ? .noDriver : .noCode))
    }

    @Test func `a library that is no driver is taken for one that is too old`() {
        let driver = CUDADevice.Driver(library: "libm.so.6")
        #expect(CUDADevice.obstacle(driver: driver) == (CUDADevice.isBuiltIn ? .oldDriver : .noCode))
    }

    @Test func `a device that cannot be had throws the reason`() {
        let driver = CUDADevice.Driver(library: "libcuda-that-is-not-there.so.1")
        let obstacle = CUDADevice.isBuiltIn ? CUDADevice.Obstacle.noDriver : .noCode
        #expect(throws: InferenceError.noDevice(reason: obstacle.sentence)) {
            try CUDADevice(ordinal: 0, driver: driver)
        }
        #expect(throws: InferenceError.noDevice(reason: obstacle.sentence)) { try CUDADevice.all(driver: driver) }
    }

    @Test(arguments: CUDADevice.Obstacle.allCases)
    func `each reason says what to do`(obstacle: CUDADevice.Obstacle) {
        let text = "\(InferenceError.noDevice(reason: obstacle.sentence))"
        #expect(text.hasPrefix("No GPU can be used: ") && text.hasSuffix(".") && obstacle.sentence.contains(" "))
    }
}
