import ArgumentParser

/// The program `quire-bench`, which says whether the engine is right, and how fast it and the job tables are;
/// and whether pages are drawn as others draw them.
@main struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quire-bench",
        abstract: "Checks and measures the inference engine, the job tables and the drawing of pages.",
        subcommands: [
            ParityCommand.self, SpeedCommand.self, CPUCommand.self, PagesCommand.self, WeightsCommand.self,
            AccuracyCommand.self, QueueCommand.self, SubmitCommand.self, ExportCommand.self,
            RenderCommand.self, MutateCommand.self, BigCommand.self, FiguresCommand.self,
        ])
}
