package import ArgumentParser

/// `quire model`: fetches, checks and describes model directories.
package struct ModelCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "model", abstract: "Fetches, checks and describes models.",
        subcommands: [ModelPullCommand.self, ModelVerifyCommand.self, ModelInfoCommand.self])

    package init() {}
}
