package import ArgumentParser
internal import Shared

/// `quire pause`.
package struct PauseCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "pause",
        abstract: "Stops handing out a batch's pages.",
        discussion: """
            Pages that workers have in hand are finished. `quire resume` goes on:

              quire pause letters
            """)

    @Argument(help: "The batch's name or number.")
    package var batch: String

    package init() {}

    package func run() async throws {
        try await Sessions.with(try Settings()) { session in
            let batch = try await BatchLookup.batch(named: batch, in: session.queue)
            guard batch.state != .cancelled else {
                throw CommandFailure(.usage, "Batch \(batch.name) is cancelled, so nothing of it is handed out.")
            }
            try await session.queue.setState(.paused, batch: batch.id)
            Console.line("Batch \(batch.name) is paused. To go on: quire resume \(batch.name)")
        }
    }
}
