import ArgumentParser
import Parity
import SystemPackage

/// Implements `quire-bench parity DIR`.
struct ParityCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "parity",
        abstract: "Compares the engine with a directory of reference results.",
        discussion: """
            The directory is laid out as the golden fixtures (its README says what each file holds); files that are \
            missing are named and passed over. Every case prints one line: what was compared, the largest error \
            relative to the tensor's largest value, and where tokens part.

            What is exact must be equal: decoded and prepared pixels, grids, token counts, banned n-grams, token ids, \
            layout, Markdown and generated tokens. Activations and scores may differ by 5e-5 of the largest value.

            Exit codes: 0 all cases passed, 1 a case failed, 2 the directory holds no case.
            """)

    @Argument(help: "The directory with the reference results.")
    var directory: String

    @Option(help: "A tokenizer.json with the released model's vocabulary, for tokenizer.deepseek.json.")
    var tokenizer: String?

    @Option(help: "How many threads the model runs on.")
    var threads: Int = SpeedCommand.processors

    func validate() throws {
        guard threads > 0 else { throw ValidationError("--threads must be at least 1.") }
    }

    func run() async throws {
        let suite = ParitySuite(
            GoldenFolder(FilePath(directory)), tokenizer: tokenizer.map { FilePath($0) }, threads: threads)
        var counts: [ParityLine.Outcome: Int] = [:]
        do {
            let images = await GoldenImages(suite.folder)
            try suite.run(images: images) { line in
                print(line)
                counts[line.outcome, default: 0] += 1
            }
        } catch {
            print("\(error)")
            throw ExitCode(2)
        }
        let failed = counts[.failed] ?? 0
        print("\(counts[.passed] ?? 0) cases passed, \(failed) failed, \(counts[.skipped] ?? 0) passed over.")
        if failed > 0 { throw ExitCode(1) }
    }
}
