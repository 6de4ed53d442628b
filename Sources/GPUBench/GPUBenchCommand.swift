import ArgumentParser
import Inference

/// The program `quire-gpu-bench`, which says whether the engine is right on a GPU, and how fast.
///
/// It needs no other library than the driver's, so that it runs on a bare machine.
@main struct GPUBenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quire-gpu-bench", abstract: "Checks and measures the inference engine on an NVIDIA GPU.",
        subcommands: [CeilingsCommand.self, ParityCommand.self, SpeedCommand.self, KernelsCommand.self])
}

/// What all commands take.
struct GPUOptions: ParsableArguments {
    @Option(help: "The GPU by its number.")
    var device = 0

    @Option(help: "A file to which a line of JSON is added for each figure.")
    var json: String?

    func open() throws -> CUDADevice {
        let device = try CUDADevice(ordinal: device)
        print(device.description)
        return device
    }

    /// Prints a figure and adds it to the file.
    func report(_ row: FigureRow) throws {
        print(row.text)
        guard let json else { return }
        try row.append(to: json)
    }
}

/// What commands take that run models.
struct ProductOptions: ParsableArguments {
    @Flag(help: "Multiply with the own kernels also where the machine has cuBLASLt.")
    var ownProducts = false

    func backend(on device: CUDADevice) throws(InferenceError) -> CUDABackend {
        let backend = try CUDABackend(device, usesLibrary: !ownProducts)
        print("products of the encoder: \(backend.libraryVersion.map { "cuBLASLt \($0)" } ?? "own kernels")")
        return backend
    }
}

extension ResolutionMode: ExpressibleByArgument {}
