/// A matrix in a GPU's memory, row-major; f32 where sums are added to it, else bfloat16.
package struct CUDATensor: BackendTensor {
    package let rows: Int
    package let columns: Int
    let isWide: Bool
    /// Shared by copies; written only where there is one reference.
    var block: DeviceBlock

    var count: Int { rows * columns }

    var bytes: Int { count * (isWide ? 4 : 2) }

    var argument: KernelLaunch.Argument { .address(block.address) }
}

/// A matrix `[out, in]` of a checkpoint in a GPU's memory.
package final class CUDAWeight {
    /// nil after a failure.
    private let memory: DeviceMemory?
    let outputs: Int
    let inputs: Int

    init(_ memory: DeviceMemory?, outputs: Int, inputs: Int) {
        self.memory = memory
        self.outputs = outputs
        self.inputs = inputs
    }

    var address: UInt64 { memory?.address ?? 0 }

    var argument: KernelLaunch.Argument { .address(address) }
}

/// The experts of a layer, whose matrices' addresses lie in a GPU's memory.
package final class CUDAExperts {
    let mlps: [GatedMLP<CUDAWeight>]
    private let gateUps: DeviceMemory?
    private let downs: DeviceMemory?

    init(_ mlps: [GatedMLP<CUDAWeight>], gateUps: DeviceMemory?, downs: DeviceMemory?) {
        self.mlps = mlps
        self.gateUps = gateUps
        self.downs = downs
    }

    var upArgument: KernelLaunch.Argument { .address(gateUps?.address ?? 0) }
    var downArgument: KernelLaunch.Argument { .address(downs?.address ?? 0) }
}

/// Which experts each row goes to, best first, and with what weights: `[rows, count]` each.
package struct CUDARouting {
    let rows: Int
    let count: Int
    let indices: DeviceBlock
    let weights: DeviceBlock
}
