/// What weights, keys and values are rounded to; sums are always f32 or exact.
package enum Precision: String, Sendable, CaseIterable {
    /// Nothing is rounded: weights in the checkpoint's own type, keys and values in f32.
    case float32 = "f32"
    /// Weights, keys and values in bfloat16. The released weights are bfloat16 already.
    case bfloat16 = "bf16"
    /// Weights as whole numbers of at most 127 times a scale for each output, their inputs as whole numbers of at least 11
    /// bits; keys and values in bfloat16. The router's gates and the tables keep their type.
    case int8
}

/// What computes.
package enum ComputeDevice: Sendable, Equatable {
    case processor
    /// An NVIDIA GPU by its number.
    case cuda(Int)
}

/// How an engine computes.
package struct EngineOptions: Sendable, Equatable {
    package var device: ComputeDevice
    /// How many threads compute.
    package var threads: Int
    /// A GPU knows bfloat16 only.
    package var precision: Precision
    /// Bytes that the engine may use in all; nil takes four fifths of what is free.
    package var memory: Int?

    package init(
        device: ComputeDevice = .processor, threads: Int, precision: Precision = .bfloat16, memory: Int? = nil
    ) {
        self.device = device
        self.threads = threads
        self.precision = precision
        self.memory = memory
    }
}
