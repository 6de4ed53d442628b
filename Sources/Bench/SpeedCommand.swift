import ArgumentParser
import Glibc
import Inference
import SystemPackage

extension ResolutionMode: ExpressibleByArgument {}
extension Precision: ExpressibleByArgument {}

/// Implements `quire-bench speed`.
struct SpeedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "speed",
        abstract: "Measures encoding, prefill and decoding of one page.",
        discussion: """
            The page is a made-up A4 scan at 150 dpi. The decoder goes on past the end token, so that the number of \
            tokens is the one asked for. A product of large matrices measured in the same run is the yardstick.

            With --random-3b no download is needed: weights of the released model's shape are made in memory (6.7 GB). \
            What comes out is noise, but takes the same time.
            """)

    @Option(help: "A model directory in Hugging Face's layout.")
    var model: String?

    @Flag(name: .customLong("random-3b"), help: "Random weights of the released model's shape, made in memory.")
    var random3b = false

    @Option(help: "The resolution mode (\(ResolutionMode.allCases.map(\.rawValue).joined(separator: ", "))).")
    var mode: ResolutionMode?

    @Option(help: "How many threads compute.")
    var threads: Int = Self.processors

    @Option(help: "What weights, keys and values are rounded to.")
    var precision: Precision = .bfloat16

    @Option(help: "How many tokens to decode for the measurement.")
    var tokens: Int = 32

    @Option(help: "How many tokens a page's text is reckoned to have, for pages an hour.")
    var pageTokens: Int = 1000

    @Flag(help: "Print comma-separated values instead of a table.")
    var csv = false

    /// Processors that are online.
    static var processors: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    func validate() throws {
        guard (model != nil) != random3b else { throw ValidationError("Give either --model DIR or --random-3b.") }
        guard threads > 0, tokens > 0, pageTokens > 0 else {
            throw ValidationError("--threads, --tokens and --page-tokens must be at least 1.")
        }
    }

    func run() async throws {
        let before = MatrixProduct.operationsPerSecond(threads: threads)
        let clock = ContinuousClock()
        let started = clock.now
        let (model, defaults) = try load()
        let loadSeconds = (clock.now - started) / .seconds(1)
        let mode = mode ?? (random3b ? .base : defaults.mode)
        let measurement = try PageMeasurement(model, mode: mode, tokens: tokens)
        // On a machine that others use too, one moment may be a bad one.
        let yardstick = max(before, MatrixProduct.operationsPerSecond(threads: threads))
        let report = SpeedReport(
            measurement, mode: mode, threads: threads, pageTokens: pageTokens, loadSeconds: loadSeconds,
            yardstick: yardstick)
        print(csv ? report.csv : report.table)
    }

    private func load() throws -> (DeepSeekOCR<CPUBackend>, ModelDefaults) {
        let backend = CPUBackend(threads: threads, precision: precision)
        guard let model else {
            let configuration = ModelConfiguration()
            let checkpoint = try Checkpoint(randomFor: configuration, threads: threads)
            return (
                try DeepSeekOCR(checkpoint: checkpoint, configuration: configuration, backend: backend), ModelDefaults()
            )
        }
        let directory = FilePath(model)
        let configuration = try ModelConfiguration(contentsOf: directory.appending("config.json"))
        let checkpoint = try Checkpoint(directory: directory, configuration: configuration)
        return (
            try DeepSeekOCR(checkpoint: checkpoint, configuration: configuration, backend: backend),
            try ModelDefaults(directory: directory)
        )
    }
}
