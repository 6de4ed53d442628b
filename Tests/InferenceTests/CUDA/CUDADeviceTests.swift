import Inference
import Testing

/// What is said where there is no GPU.
@Suite struct CUDADeviceTests {
    @Test func `without a driver a sentence says so`() {
        // A driver that was loaded before stays loaded.
        guard CUDADevice.isBuiltIn else {
            #expect(CUDADevice.obstacle(library: "libcuda-that-is-not-there.so.1") == .noCode)
            return
        }
        let found = CUDADevice.obstacle(library: "libcuda-that-is-not-there.so.1")
        if CUDADevice.obstacle() != nil, CUDADevice.obstacle() == .noDriver { #expect(found == .noDriver) }
        #expect(found == .noDriver || CUDADevice.obstacle() != .noDriver)
    }

    @Test func `a library that is no driver is taken for one that is too old`() {
        guard CUDADevice.isBuiltIn, CUDADevice.obstacle() == .noDriver else { return }
        #expect(CUDADevice.obstacle(library: "libm.so.6") == .oldDriver)
    }

    @Test func `a device that cannot be had throws the reason`() {
        guard let obstacle = CUDADevice.obstacle() else { return }
        #expect(throws: InferenceError.noDevice(reason: obstacle.sentence)) { try CUDADevice(ordinal: 0) }
        #expect(throws: InferenceError.noDevice(reason: obstacle.sentence)) { try CUDADevice.all() }
    }

    @Test(arguments: CUDADevice.Obstacle.allCases)
    func `each reason says what to do`(obstacle: CUDADevice.Obstacle) {
        let text = "\(InferenceError.noDevice(reason: obstacle.sentence))"
        #expect(text.hasPrefix("No GPU can be used: ") && text.hasSuffix(".") && obstacle.sentence.contains(" "))
    }
}
