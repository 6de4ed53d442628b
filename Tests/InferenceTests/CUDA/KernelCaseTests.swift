import Inference
import Parity
import Testing

/// Every kernel of the GPU against a plain computation: on the shim always, on a GPU where there is one.
@Suite struct KernelCaseTests {
    @Test(arguments: KernelCase.all)
    func `a kernel is right whichever threads come first`(kernel: KernelCase) throws {
        for isReversed in [false, true] {
            let error = try kernel.run(Shim(isReversed: isReversed).device)
            #expect(error <= kernel.limit, "\(isReversed ? "backwards" : "forwards"): \(error)")
        }
    }

    @Test(.enabled(if: CUDADevice.obstacle() == nil), arguments: KernelCase.all)
    func `a kernel is right on the GPU`(kernel: KernelCase) throws {
        let error = try kernel.run(CUDADevice(ordinal: 0))
        #expect(error <= kernel.limit, "\(error)")
    }
}
