import ArgumentParser

/// The program `quire-bench`, which says whether the engine is right, and how fast it and the job tables are.
@main struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quire-bench",
        abstract: "Checks and measures the inference engine and the job tables.",
        subcommands: [
            ParityCommand.self, SpeedCommand.self, CPUCommand.self, PagesCommand.self, WeightsCommand.self,
            AccuracyCommand.self, QueueCommand.self, SubmitCommand.self, ExportCommand.self,
            FiguresCommand.self,
        ])
}
