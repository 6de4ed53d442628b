package import ArgumentParser
internal import Shared

/// `quire resume`.
package struct ResumeCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "Hands out the pages of a paused or cancelled batch again.",
        discussion: """
            Pages that have results keep them; all others are queued:

              quire resume letters
            """)

    @Argument(help: "The batch's name or number.")
    package var batch: String

    package init() {}

    package func run() async throws {
        try await Sessions.with(try Settings()) { session in
            let batch = try await BatchLookup.batch(named: batch, in: session.queue)
            try await session.queue.setState(.open, batch: batch.id)
            try await session.queue.notifySubmitted()
            Console.line("Batch \(batch.name) is open. To follow it: quire status \(batch.name) --watch")
        }
    }
}
