package import ArgumentParser
private import Glibc
internal import Shared
internal import SystemPackage

/// `quire model pull`: fetches a model's weights.
package struct ModelPullCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "pull", abstract: "Fetches a model's weights and checks every byte.",
        discussion: """
            Takes config.json, the tokenizer and the weights of a repository in Hugging Face's layout; 6.7 GB for the \
            published model. Whatever interrupts it, the same command goes on where it stopped. Files that are there and \
            right are not fetched again.

            A branch or a tag is looked up once, and every file is then fetched by the commit that it stands for; the \
            commit is written down beside the files (quire-model.json). A directory that holds a commit of the branch keeps \
            it when the branch moves, until --update is given. The model there changes as a whole, when all of the new one has \
            arrived: there must be room for both. To pin a model for all machines, give the commit:

              quire model pull
              quire model pull --revision COMMIT

            An access token in HF_TOKEN is sent to the endpoint only; HTTPS_PROXY is heeded.
            """)

    @Argument(help: ArgumentHelp("The repository, as OWNER/NAME.", valueName: "repository"))
    package var repository = ModelRepository.defaultName

    @Option(help: "A branch, a tag or a commit.")
    package var revision = "main"

    @Flag(help: "Change to the commit that the branch or tag is now.")
    package var update = false

    @Option(help: "The server, or a mirror of it. [$HF_ENDPOINT; default: \(ModelRepository.defaultEndpoint)]")
    package var endpoint: String?

    @Option(
        name: .customLong("out"),
        help: ArgumentHelp(
            "Where to put the files. [default: below the data directory, where Quire looks for them]", valueName: "dir"),
        completion: .directory)
    package var out: String?

    package init() {}

    package func run() async throws {
        let settings = try Settings()
        do throws(ModelStoreError) {
            let repository = try ModelRepository(
                endpoint: endpoint ?? settings["HF_ENDPOINT"] ?? ModelRepository.defaultEndpoint, name: repository,
                revision: revision)
            let directory = ModelLocation.absolute(
                out.map { FilePath($0) }
                    ?? ModelLocation.pulledDirectory(settings).removingLastComponent().appending(repository.shortName))
            let output = PullProgress.Output(isTerminal: isatty(STDERR_FILENO) != 0) { Console.errorPart($0) }
            let puller = ModelPuller(
                repository: repository, directory: directory, token: settings["HF_TOKEN"], output: output,
                isUpdating: update)
            let manifest = try await puller.pull()
            let bytes = manifest.files.reduce(0) { $0 + $1.size }
            Console.line(
                "\(manifest.files.count) files, \(ByteCount.text(bytes)), all checked, are in \(directory.displayText)"
            )
            if let commit = manifest.commit {
                Console.line("Commit \(commit); the same files anywhere: quire model pull --revision \(commit)")
            }
        } catch {
            throw CommandFailure(error.exitStatus, error.description)
        }
    }
}

extension ModelStoreError {
    fileprivate var exitStatus: ExitStatus {
        switch self {
        case .badName: .usage
        case .cancelled: .interrupted
        case .noSpace: .output
        default: .model
        }
    }
}
