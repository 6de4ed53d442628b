package import ArgumentParser
internal import Shared

/// `quire cancel`.
package struct CancelCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Takes a batch's pages out of the queue.",
        discussion: """
            Results so far are kept and can be exported; pages that workers have in hand are dropped. `quire resume` \
            queues again what has no result:

              quire cancel letters
            """)

    @Argument(help: "The batch's name or number.")
    package var batch: String

    package init() {}

    package func run() async throws {
        try await Sessions.with(try Settings()) { session in
            let batch = try await BatchLookup.batch(named: batch, in: session.queue)
            try await session.queue.setState(.cancelled, batch: batch.id)
            Console.line(
                "Batch \(batch.name) is cancelled. What it has can be exported: quire export \(batch.name) --out DIR")
        }
    }
}
