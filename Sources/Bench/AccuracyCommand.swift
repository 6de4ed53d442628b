import ArgumentParser
import Inference
import Parity
import SystemPackage

/// Implements `quire-bench accuracy`.
struct AccuracyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "accuracy",
        abstract: "Says what rounding weights, keys and values costs in scores, tokens and text.",
        discussion: """
            Golden pages and the pages of an archive are read at each precision and compared with f32. Scores are \
            compared along the same tokens (the golden ones, or those of f32): the largest and the root-mean-square \
            difference, and how often the same token is chosen. Then each precision writes by itself: its tokens are \
            compared with those of f32 (one less the edits for each token), its text with the truth that lies beside \
            the archive's documents (NAME.truth.md; blank pages are left out).

            Exit codes: 0 all goals are met, 1 one is not, 2 something could not be read.
            """)

    @Option(help: "A directory of golden files.")
    var golden = "Tests/InferenceTests/Fixtures/golden"

    @Option(help: "The model directory that reads the archive.")
    var model = "models/quire-nano"

    @Option(help: "The archive, with the true text beside its documents.")
    var samples = "samples/archive"

    @Option(help: "A prompt for the archive's pages, again for each; as the model directory says where there is none.")
    var prompt: [String] = []

    @Option(parsing: .upToNextOption, help: "What the archive's PDF pages are rendered at; several make more pages.")
    var dpi: [Int] = [SampleArchive.usualDPI]

    @Option(parsing: .upToNextOption, help: "Precisions to compare with f32.")
    var precisions: [Precision] = [.bfloat16, .int8]

    @Option(help: "How many threads compute.")
    var threads: Int = SpeedCommand.processors

    @Option(help: "Write each figure to this file as a line of JSON.")
    var json: String?

    func validate() throws {
        guard threads > 0 else { throw ValidationError("--threads must be at least 1.") }
        guard !dpi.isEmpty, dpi.allSatisfy({ (36...1200).contains($0) }) else {
            throw ValidationError("--dpi must be from 36 to 1200.")
        }
    }

    func run() async throws {
        let log: FigureLog
        do {
            log = try await compare()
        } catch {
            print("\(error)")
            throw ExitCode(2)
        }
        print("\n" + log.goals)
        if log.figures.contains(where: { !$0.isMet }) { throw ExitCode(1) }
    }

    private func compare() async throws -> FigureLog {
        var report = AccuracyReport(log: try FigureLog(path: json))
        let folder = GoldenFolder(FilePath(golden))
        var sets = try AccuracyPages.golden(folder, images: await GoldenImages(folder))
        let archive = try await SampleArchive(FilePath(samples), dpi: dpi)
        sets.append(try AccuracyPages.samples(archive, model: FilePath(model)))
        for prompt in prompt {
            sets.append(try AccuracyPages.samples(archive, model: FilePath(model), prompt: prompt))
        }
        print("\(threads) threads, kernels \(Kernels.best.name)")
        for set in sets {
            let exact = try AccuracyReading(set, .float32, threads: threads)
            let paths = exact.pages.map(\.path)
            var tallies = [(Precision.float32, exact.tally(of: set, against: exact))]
            for precision in precisions where precision != .float32 {
                let reading = try AccuracyReading(set, precision, threads: threads, paths: paths)
                tallies.append((precision, reading.tally(of: set, against: exact)))
            }
            try report.add(set, tallies)
        }
        return report.log
    }
}
