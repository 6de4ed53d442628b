private import Glibc

/// Weights in a GPU's memory, as its kernels want them.
extension CUDABackend {
    package func weight(stacking tensors: [Checkpoint.Tensor], isExact: Bool) throws(InferenceError) -> CUDAWeight {
        let outputs = tensors.reduce(0) { $0 + $1.shape[0] }
        let inputs = tensors[0].count / tensors[0].shape[0]
        try checkWidth(inputs, tensors[0])
        try checkWidth(outputs, tensors[0])
        let memory = try DeviceMemory(device, bytes: outputs * inputs * (isExact ? 4 : 2))
        var address = memory.address
        for tensor in tensors {
            if isExact {
                try tensor.floats().withUnsafeBytes { bytes in
                    Result { () throws(InferenceError) in try ring.copy(bytes, to: address) }
                }.get()
            } else if tensor.shape.count == 4, tensor.shape[2] == 3, tensor.shape[3] == 3 {
                try copy(channelsLast(tensor), to: address)
            } else if let recipe = tensor.recipe {
                try fill(address, recipe, tensor.count, pieces: tensor.count, apart: tensor.count)
            } else {
                try copyRounded(tensor, to: address)
            }
            address += UInt64(tensor.count * (isExact ? 4 : 2))
        }
        return CUDAWeight(memory, outputs: outputs, inputs: inputs)
    }

    /// Eight rows of the gate, then the same eight of the other, so that a thread has both sums of an output.
    package func weight(gate: Checkpoint.Tensor, up: Checkpoint.Tensor) throws(InferenceError) -> CUDAWeight {
        let (inner, inputs) = (gate.shape[0], gate.shape[1])
        try checkWidth(inner, gate)
        try checkWidth(inputs, gate)
        let memory = try DeviceMemory(device, bytes: 2 * inner * inputs * 2)
        let eight = 8 * inputs * 2
        if let gates = gate.recipe, let ups = up.recipe {
            try fill(memory.address, gates, gate.count, pieces: 8 * inputs, apart: 16 * inputs)
            try fill(memory.address + UInt64(eight), ups, up.count, pieces: 8 * inputs, apart: 16 * inputs)
            return CUDAWeight(memory, outputs: 2 * inner, inputs: inputs)
        }
        try withRounded(gate) { (gate) throws(InferenceError) in
            try withRounded(up) { (up) throws(InferenceError) in
                guard let gate = gate.baseAddress, let up = up.baseAddress else { return }
                try ring.copy(2 * inner * inputs * 2, to: memory.address, align: eight) { to, range in
                    for (place, start) in stride(from: range.lowerBound, to: range.upperBound, by: eight).enumerated() {
                        let number = start / eight
                        memcpy(to + place * eight, (number % 2 == 0 ? gate : up) + number / 2 * eight, eight)
                    }
                }
            }
        }
        return CUDAWeight(memory, outputs: 2 * inner, inputs: inputs)
    }

    package func table(_ tensor: Checkpoint.Tensor) -> CUDAWeight {
        let (outputs, inputs) = (tensor.shape[0], tensor.count / tensor.shape[0])
        let made = context.attempt { () throws(InferenceError) in
            try weight(stacking: [tensor], isExact: false)
        }
        return made ?? CUDAWeight(nil, outputs: outputs, inputs: inputs)
    }

    package func experts(_ experts: [GatedMLP<CUDAWeight>]) -> CUDAExperts {
        func table(_ weights: [CUDAWeight]) -> DeviceMemory? {
            context.attempt { () throws(InferenceError) in
                try DeviceMemory(device, weights.map(\.address))
            }
        }
        return CUDAExperts(experts, gateUps: table(experts.map(\.gateUp)), downs: table(experts.map(\.down)))
    }

    package func finishWeights() {
        // Steps use what the other stream brought.
        follow(besideSteps.moment())
        besideSteps.follow(moment())
    }

    private var ring: StagingRing { context.ring(stream) }

    private func checkWidth(_ width: Int, _ tensor: Checkpoint.Tensor) throws(InferenceError) {
        guard width % 8 != 0 else { return }
        throw .noDevice(reason: "\(tensor.name) is \(width) wide, and the GPU's kernels take multiples of 8")
    }

    /// Makes random elements where they are to lie: `pieces` of them in a row, their beginnings so many elements apart.
    private func fill(
        _ address: UInt64, _ recipe: RandomRecipe, _ count: Int, pieces: Int, apart: Int
    ) throws(InferenceError) {
        let first = UInt64(recipe.first)
        let base = UInt32(truncatingIfNeeded: first) &+ UInt32(truncatingIfNeeded: first >> 32) &* 0x85EB_CA6B
        let mix = UInt32(truncatingIfNeeded: recipe.seed ^ recipe.seed >> 32)
        try device.launch(
            KernelLaunch(
                "fill_random", grid: ((count / 8 + 255) / 256, 1, 1), threads: 256,
                [
                    .address(address), .long(count), .long(pieces), .long(apart), .int(Int(Int32(bitPattern: base))),
                    .int(Int(Int32(bitPattern: mix))), .float(recipe.centre), .float(recipe.width),
                ]), on: stream)
    }

    private func copyRounded(_ tensor: Checkpoint.Tensor, to address: UInt64) throws(InferenceError) {
        try withRounded(tensor) { (bytes) throws(InferenceError) in try ring.copy(bytes, to: address) }
    }

    private func copy(_ elements: [UInt16], to address: UInt64) throws(InferenceError) {
        try elements.withUnsafeBytes { bytes in
            Result { () throws(InferenceError) in try ring.copy(bytes, to: address) }
        }.get()
    }

    /// Lends a tensor's elements as bfloat16.
    private func withRounded(
        _ tensor: Checkpoint.Tensor, _ body: (UnsafeRawBufferPointer) throws(InferenceError) -> Void
    ) throws(InferenceError) {
        let result: Result<Void, InferenceError>
        if tensor.type == .bfloat16 {
            result = tensor.withBytes { bytes in Result { () throws(InferenceError) in try body(bytes) } }
        } else {
            result = tensor.floats().map(BFloat.bits).withUnsafeBytes { bytes in
                Result { () throws(InferenceError) in try body(bytes) }
            }
        }
        tensor.forget()
        try result.get()
    }

    /// `[out, in, 3, 3]` as `[out, 3, 3, in]`.
    private func channelsLast(_ tensor: Checkpoint.Tensor) -> [UInt16] {
        let (outputs, channels) = (tensor.shape[0], tensor.shape[1])
        let values = tensor.floats()
        var turned: [UInt16] = []
        turned.reserveCapacity(values.count)
        for output in 0..<outputs {
            for tap in 0..<9 {
                for channel in 0..<channels {
                    turned.append(BFloat.bits(values[(output * channels + channel) * 9 + tap]))
                }
            }
        }
        return turned
    }
}
