import CUDAShim
import Glibc
import Inference
import Testing

/// What is said of drivers and devices that cannot be used.
@Suite struct CUDADriverTests {
    /// A function for a driver in place of the shim's.
    private typealias Count = @convention(c) (UnsafeMutablePointer<Int32>) -> Int32

    @Test func `the device of a driver is described`() throws {
        let found = try CUDADevice.all(driver: .shim())
        #expect(found.count == 1 && CUDADevice.obstacle(driver: .shim()) == nil)
        let device = try CUDADevice(ordinal: 0, driver: .shim())
        #expect(device.description == found.first)
        #expect(device.description.capability == "8.0" && device.description.driver == "13.0")
        #expect(try device.freeBytes() == device.description.freeBytes)
    }

    @Test(arguments: [1, -1, 1 << 40]) func `a number that no device has is refused`(ordinal: Int) {
        #expect(throws: InferenceError.noDevice(reason: CUDADevice.Obstacle.noDevice.sentence)) {
            try CUDADevice(ordinal: ordinal, driver: .shim())
        }
    }

    @Test func `an old driver is named with its version`() {
        let driver = CUDADevice.Driver { symbol in
            let version: Count = { version in
                version.pointee = 12_040
                return 0
            }
            return strcmp(symbol, "cuDriverGetVersion") == 0
                ? unsafeBitCast(version, to: UnsafeMutableRawPointer.self) : quire_shim_forwards(symbol)
        }
        #expect(CUDADevice.obstacle(driver: driver) == .oldDriver)
        let reason = CUDADevice.Obstacle.oldDriver.sentence + "; this one supports CUDA 12.4"
        #expect(throws: InferenceError.noDevice(reason: reason)) { try CUDADevice(ordinal: 0, driver: driver) }
    }

    @Test func `a driver without one of the functions is old`() {
        let driver = CUDADevice.Driver { symbol in
            strcmp(symbol, "cuGraphLaunch") == 0 ? nil : quire_shim_forwards(symbol)
        }
        #expect(CUDADevice.obstacle(driver: driver) == .oldDriver)
        #expect(throws: InferenceError.noDevice(reason: CUDADevice.Obstacle.oldDriver.sentence)) {
            try CUDADevice(ordinal: 0, driver: driver)
        }
    }

    @Test func `a driver may show no device`() {
        let driver = CUDADevice.Driver { symbol in
            let count: Count = { count in
                count.pointee = 0
                return 0
            }
            return strcmp(symbol, "cuDeviceGetCount") == 0
                ? unsafeBitCast(count, to: UnsafeMutableRawPointer.self) : quire_shim_forwards(symbol)
        }
        #expect(CUDADevice.obstacle(driver: driver) == .noDevice)
        #expect(throws: InferenceError.noDevice(reason: CUDADevice.Obstacle.noDevice.sentence)) {
            try CUDADevice.all(driver: driver)
        }
    }

    @Test func `a device may be too old for the kernels`() throws {
        let driver = CUDADevice.Driver { symbol in
            let attribute: @convention(c) (UnsafeMutablePointer<Int32>, Int32, Int32) -> Int32 = { value, _, _ in
                value.pointee = 7
                return 0
            }
            return strcmp(symbol, "cuDeviceGetAttribute") == 0
                ? unsafeBitCast(attribute, to: UnsafeMutableRawPointer.self) : quire_shim_forwards(symbol)
        }
        #expect(try CUDADevice.all(driver: driver).map(\.capability) == ["7.7"])
        #expect(throws: InferenceError.noDevice(reason: CUDADevice.Obstacle.oldDevice.sentence)) {
            try CUDADevice(ordinal: 0, driver: driver)
        }
    }

    @Test func `a driver that does not start is no obstacle that has a cure`() {
        let driver = CUDADevice.Driver { symbol in
            let start: @convention(c) (UInt32) -> Int32 = { _ in 999 }
            return strcmp(symbol, "cuInit") == 0
                ? unsafeBitCast(start, to: UnsafeMutableRawPointer.self) : quire_shim_forwards(symbol)
        }
        #expect(throws: InferenceError.deviceFailed(reason: "unknown error", isMemory: false)) {
            try CUDADevice(ordinal: 0, driver: driver)
        }
    }
}
