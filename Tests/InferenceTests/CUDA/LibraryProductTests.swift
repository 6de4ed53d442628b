import CUDAShim
import Glibc
import Inference
import Testing

/// Products by a library in the place of cuBLASLt, which checks what it is asked for.
@Suite struct LibraryProductTests {
    private typealias Lookup = CUDADevice.Driver.Lookup

    private static let library: Lookup = { quire_shim_products($0) }

    @Test(arguments: [false, true])
    func `every stage is the processor's within the rounding`(isReversed: Bool) throws {
        let shim = try Shim(isReversed: isReversed, products: Self.library)
        let model = try CUDABackendTests.model(shim)
        #expect(model.backend.libraryVersion == "13.8.2")
        try CUDABackendTests.compare(model)
        #expect(shim.libraryProducts > 0)
    }

    /// What a page's image becomes on a device.
    private func embeddings(_ shim: Shim, _ images: [PreparedImage]) throws -> [[Float]] {
        let model = try CUDABackendTests.model(shim)
        let encoding = try model.beginEncoding(images)
        return try model.finish(encoding).map { model.backend.download($0) }
    }

    @Test func `a page becomes the same alone and beside others`() throws {
        let images = [(64, 128), (128, 64), (64, 64)].map { CUDABackendTests.image(side: $0, tile: $1) }
        let together = try embeddings(Shim(products: Self.library), images)
        for (image, found) in zip(images, together) {
            #expect(try embeddings(Shim(products: Self.library), [image])[0] == found)
        }
    }

    @Test func `the decoder's steps do not ask the library`() throws {
        let shim = try Shim(products: Self.library)
        let model = try CUDABackendTests.model(shim)
        let question = try #require(GoldenBench.questions(model.configuration).first { $0.image == nil })
        _ = try model.answer(question, GenerationOptions(maxNewTokens: 5))
        #expect(shim.libraryProducts == 0)
    }

    /// Libraries that cannot be used: one lacks a function, one does not start, one knows no way.
    private static let useless: [Lookup] = [
        { strcmp($0, "cublasLtMatmul") == 0 ? nil : quire_shim_products($0) },
        { symbol in
            let refuse: @convention(c) (UnsafeMutableRawPointer) -> Int32 = { _ in 1 }
            return strcmp(symbol, "cublasLtCreate") == 0
                ? unsafeBitCast(refuse, to: UnsafeMutableRawPointer.self) : quire_shim_products(symbol)
        },
        { symbol in
            let refuse: @convention(c) (OpaquePointer) -> Int32 = { _ in 15 }
            return strcmp(symbol, "cublasLtMatmulAlgoGetHeuristic") == 0
                ? unsafeBitCast(refuse, to: UnsafeMutableRawPointer.self) : quire_shim_products(symbol)
        },
    ]

    @Test(arguments: useless.indices)
    func `where the library is of no use the own kernels multiply`(number: Int) throws {
        let image = CUDABackendTests.image(side: 64, tile: 128)
        let shim = try Shim(products: Self.useless[number])
        let found = try embeddings(shim, [image])
        #expect(found == (try embeddings(Shim(), [image])))
        #expect(shim.libraryProducts == 0)
    }

    @Test func `the library may be left alone`() throws {
        let shim = try Shim(products: Self.library)
        #expect(try CUDABackend(shim.device, usesLibrary: false).libraryVersion == nil)
    }

    @Test func `without memory for its workspace the own kernels multiply`() throws {
        let shim = try Shim(products: Self.library)
        shim.limit(to: 8 << 20)
        #expect(try CUDABackend(shim.device).libraryVersion == nil)
    }

    @Test func `a product that fails is said to have failed`() throws {
        let broken: Lookup = { symbol in
            let fail: @convention(c) (OpaquePointer) -> Int32 = { _ in 13 }
            return strcmp(symbol, "cublasLtMatmul") == 0
                ? unsafeBitCast(fail, to: UnsafeMutableRawPointer.self) : quire_shim_products(symbol)
        }
        #expect(throws: InferenceError.deviceFailed(reason: "cuBLASLt: status 13", isMemory: false)) {
            try embeddings(Shim(products: broken), [CUDABackendTests.image(side: 64, tile: 128)])
        }
    }
}
