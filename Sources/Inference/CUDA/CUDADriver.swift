import CUDAKernels

extension CUDADevice {
    /// Where the driver's functions come from: NVIDIA's library, or in tests another driver.
    ///
    /// A library is opened when it is first asked for: a program runs with and without a GPU.
    package struct Driver: Sendable {
        /// Finds a function by the name that the library exports; nil where there is none.
        package typealias Lookup = @convention(c) @Sendable (UnsafePointer<CChar>) -> UnsafeMutableRawPointer?

        private enum Source: Sendable {
            case library(String)
            case lookup(Lookup)
        }

        private let source: Source
        /// Where cuBLASLt's functions come from, first of all.
        private let products: [Source]

        /// NVIDIA's driver as it is installed.
        package static let system = Driver(library: "libcuda.so.1")

        /// A library by name or path.
        package init(library: String) {
            source = .library(library)
            products = [.library("libcublasLt.so.13"), .library("libcublasLt.so.12")]
        }

        /// Another driver, with kernels of its own, and perhaps another cuBLASLt.
        package init(lookup: @escaping Lookup, products: Lookup? = nil) {
            source = .lookup(lookup)
            self.products = products.map { [.lookup($0)] } ?? []
        }

        /// What keeps this program from the driver's GPUs; nil where nothing does.
        package var obstacle: Obstacle? {
            switch open() {
            case .success: nil
            case .failure(let refusal): refusal.obstacle
            }
        }

        /// The functions.
        ///
        /// - Throws: `noDevice` with the reason where there is nothing to compute on, or what the driver says.
        func functions() throws(InferenceError) -> DriverFunctions {
            switch open() {
            case .success(let functions): return functions
            case .failure(let refusal): throw refusal.error
            }
        }

        /// cuBLASLt at work for a device; nil where there is none that can be used.
        func openProducts(for device: CUDADevice) -> OpaquePointer? {
            for source in products {
                var handle: OpaquePointer?
                let status =
                    switch source {
                    case .library(let name): quire_cuda_products_load(device.handle, name, &handle)
                    case .lookup(let lookup): quire_cuda_products_use(device.handle, lookup, &handle)
                    }
                if status == QUIRE_CUDA_READY { return handle }
            }
            return nil
        }

        private struct Refusal: Error {
            let obstacle: Obstacle?
            let error: InferenceError
        }

        private func open() -> Result<DriverFunctions, Refusal> {
            var handle: OpaquePointer?
            let status: quire_cuda_status
            switch source {
            case .library(let name):
                // Without code a driver is of no use, and said to be missing it would mislead.
                guard CUDADevice.isBuiltIn else { return .failure(refusal(.noCode, version: 0)) }
                status = quire_cuda_load(name, &handle)
            case .lookup(let lookup):
                status = quire_cuda_use(lookup, &handle)
            }
            let functions = handle.map(DriverFunctions.init)
            if let obstacle = Obstacle(rawValue: status.rawValue) {
                return .failure(refusal(obstacle, version: functions?.version ?? 0))
            }
            do throws(InferenceError) {
                try CUDADevice.check(status)
            } catch {
                return .failure(Refusal(obstacle: nil, error: error))
            }
            guard let functions else { return .failure(refusal(.noDriver, version: 0)) }
            return .success(functions)
        }

        private func refusal(_ obstacle: Obstacle, version: Int32) -> Refusal {
            let found = version > 0 ? "; this one supports CUDA \(CUDADevice.versionText(version))" : ""
            let reason = obstacle == .oldDriver ? obstacle.sentence + found : obstacle.sentence
            return Refusal(obstacle: obstacle, error: .noDevice(reason: reason))
        }
    }

    /// Why there is no GPU to compute on.
    package enum Obstacle: UInt32, Sendable, CaseIterable {
        case noCode = 1
        case noDriver = 2
        case oldDriver = 3
        case noDevice = 4
        case oldDevice = 5

        /// What is wrong and what to do.
        package var sentence: String {
            switch self {
            case .noCode:
                "this program was built without GPU code: run `make cuda`, then build again"
            case .noDriver:
                "there is no NVIDIA driver (libcuda.so.1 was not found): install one for CUDA 13.0, version 580 or newer"
            case .oldDriver:
                "the NVIDIA driver is too old: install one for CUDA 13.0, version 580 or newer"
            case .noDevice:
                "the NVIDIA driver shows no such GPU: `nvidia-smi` and CUDA_VISIBLE_DEVICES say which there are"
            case .oldDevice:
                "the GPU is too old: the kernels need compute capability 8.0 (Ampere) or newer"
            }
        }
    }
}

/// A driver's functions, which go with the last reference.
final class DriverFunctions {
    let handle: OpaquePointer

    fileprivate init(_ handle: OpaquePointer) { self.handle = handle }

    deinit { quire_cuda_drop(handle) }

    /// The version of CUDA that it supports, 1000 * major + 10 * minor.
    var version: Int32 { quire_cuda_driver_version(handle) }
}
