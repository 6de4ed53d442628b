import ArgumentParser
import Inference
import Parity

/// Implements `quire-gpu-bench speed`.
struct SpeedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "speed", abstract: "Measures encoding, prefill and decoding for pages together.",
        discussion: """
            Weights of the released model's shape are made on the GPU; what comes out is noise, but takes the same time. \
            Steps are those of the engine, with the n-gram rule and the choice, in the middle of a page's text. A page is \
            reckoned from its parts: encoding, prefill, and a step's time for each token of its text.
            """)

    @OptionGroup var options: GPUOptions
    @OptionGroup var products: ProductOptions

    @Option(help: "The resolution mode (\(ResolutionMode.allCases.map(\.rawValue).joined(separator: ", "))).")
    var mode: ResolutionMode = .base

    @Option(parsing: .upToNextOption, help: "How many pages are decoded together.")
    var batch = [1, 64, 256, 512]

    @Option(help: "How many tokens a page's text is reckoned to have.")
    var pageTokens = 1000

    func run() async throws {
        let model = try GPUModel.random(products.backend(on: try options.open()))
        for batch in batch {
            do {
                for row in try PartTimes(model, mode: mode, batch: batch, pageTokens: pageTokens).rows {
                    try options.report(row)
                }
            } catch InferenceError.deviceFailed(_, isMemory: true) {
                print("\(batch) pages of \(mode.rawValue) together do not fit into the GPU's memory.")
                try model.backend.releaseMemory()
            }
        }
    }
}

/// Implements `quire-gpu-bench kernels`.
struct KernelsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kernels", abstract: "Says how long each kernel runs in encoding, prefill and a step.")

    @OptionGroup var options: GPUOptions
    @OptionGroup var products: ProductOptions

    @Option(help: "The resolution mode.")
    var mode: ResolutionMode = .base

    @Option(help: "How many pages are decoded together.")
    var batch = 256

    func run() async throws {
        let model = try GPUModel.random(products.backend(on: try options.open()))
        for part in try PartTimes.kernels(model, mode: mode, batch: batch) {
            print("\n\(part.name)")
            let all = part.times.reduce(0) { $0 + $1.milliseconds }
            for time in part.times {
                let share = Int((100 * time.milliseconds / all).rounded())
                print("\(time.kernel): \(time.launches) launches, \(time.milliseconds) ms, \(share) %")
            }
        }
    }
}

/// The released model's shape with random weights.
enum GPUModel {
    static func random(_ backend: CUDABackend) throws -> DeepSeekOCR<CUDABackend> {
        let configuration = ModelConfiguration()
        return try DeepSeekOCR(
            checkpoint: Checkpoint(lazilyRandomFor: configuration), configuration: configuration, backend: backend)
    }
}
