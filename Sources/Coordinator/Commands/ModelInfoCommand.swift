package import ArgumentParser
internal import Shared

/// `quire model info`: describes a model directory.
package struct ModelInfoCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "info", abstract: "Describes a model: parameters, sizes, defaults, digest.",
        discussion:
            "The digest is what every result carries: pages read with the same one were read by the same weights.")

    @Argument(
        help: ArgumentHelp("The model directory. [$QUIRE_MODEL; default: as for quire run]", valueName: "dir"),
        completion: .directory)
    package var directory: String?

    package init() {}

    package func run() async throws {
        let directory = try ModelLocation.find(flag: directory, settings: try Settings())
        let digest = try await ModelDigest.compute(directory: directory)
        do {
            for line in try ModelDescription(directory, digest: digest).lines { Console.line(line) }
        } catch let error as ModelStoreError {
            throw CommandFailure(.model, error.description)
        }
    }
}
