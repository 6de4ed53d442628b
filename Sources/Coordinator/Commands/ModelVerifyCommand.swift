package import ArgumentParser
internal import Shared

/// `quire model verify`: checks a model directory.
package struct ModelVerifyCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Checks a model's files, tensors and tokenizer.",
        discussion: """
            Compares the files with the SHA-256 that `quire model pull` wrote down, names files that are used and were not \
            pulled, and compares every tensor's name, shape and element type with config.json, and the tokenizer with the model. All problems are listed, not only the first; the exit \
            code is 5 where there are any.
            """)

    @Argument(
        help: ArgumentHelp("The model directory. [$QUIRE_MODEL; default: as for quire run]", valueName: "dir"),
        completion: .directory)
    package var directory: String?

    @Flag(help: "Also look at every value for infinities and values that are no numbers.")
    package var values = false

    @Option(help: "The commit that the files must be of, as `quire model pull` wrote it down.")
    package var revision: String?

    package init() {}

    package mutating func validate() throws {
        guard let revision, !ModelRepository.isCommit(revision) else { return }
        throw ValidationError("--revision is a commit: 40 hexadecimal digits.")
    }

    package func run() async throws {
        let directory = try ModelLocation.find(flag: directory, settings: try Settings())
        let verification = await ModelVerification.run(directory, values: values, commit: revision)
        Console.line(directory.displayText)
        for line in verification.notes { Console.line("  note   \(line)") }
        for line in verification.passed { Console.line("  ok     \(line)") }
        for line in verification.problems { Console.line("  wrong  \(line)") }
        guard verification.problems.isEmpty else {
            let count = verification.problems.count == 1 ? "1 problem" : "\(verification.problems.count) problems"
            throw CommandFailure(
                .model, "\(directory.displayText) has \(count). Fetch what is damaged again: quire model pull --out DIR"
            )
        }
    }
}
