import ArgumentParser
import Inference
import SystemPackage

/// Implements `quire-bench weights DIR`.
struct WeightsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "weights",
        abstract: "Writes a model directory with random weights of the released model's shape (6.7 GB).",
        discussion: """
            The weights are those that `speed --random-3b` makes in memory, in Hugging Face's layout, so that other \
            engines can be measured on them. What comes out of such a model is noise, but takes the same time.

            `config.json` is written last: a directory that has one is whole. It is never overwritten.
            """)

    @Argument(help: "The directory; made where it is missing.")
    var directory: String

    @Flag(help: "Routers that send most rows to a few experts: row e of each is scaled by 8 / (1 + e).")
    var skew = false

    @Option(help: "The same seed gives the same weights.")
    var seed: UInt64 = 1

    @Flag(help: "Sizes of a miniature model, for tests.")
    var tiny = false

    @Option(help: "A tokenizer.json to copy beside the weights; its id of <image> goes into config.json.")
    var tokenizer: String?

    @Option(help: "How many threads make the weights.")
    var threads: Int = SpeedCommand.processors

    func validate() throws {
        guard threads > 0 else { throw ValidationError("--threads must be at least 1.") }
    }

    func run() async throws {
        let clock = ContinuousClock()
        let started = clock.now
        let folder = try RandomModelFolder(
            tiny ? .tiny : ModelConfiguration(), seed: seed, router: skew ? .skewed : .balanced,
            tokenizer: tokenizer.map { FilePath($0) })
        let report = try folder.write(to: FilePath(directory), threads: threads)
        let seconds = (clock.now - started) / .seconds(1)
        print(
            "\(directory): \(report.tensors) tensors, \(report.bytes / 1_000_000) MB in \(report.files) "
                + "file\(report.files == 1 ? "" : "s"), \(SpeedReport.fixed(seconds, 1)) s.")
    }
}
