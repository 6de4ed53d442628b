import ArgumentParser

/// `quire-bench`: is the engine right, and how fast is it?
@main struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quire-bench",
        abstract: "Checks and measures the inference engine.",
        subcommands: [ParityCommand.self, SpeedCommand.self])
}
