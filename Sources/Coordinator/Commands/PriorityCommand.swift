package import ArgumentParser
internal import Shared

/// `quire priority`.
package struct PriorityCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "priority",
        abstract: "Changes which batches are recognised first.",
        discussion: """
            Pages of a batch are handed out only while no batch of a higher priority has any. Batches of one priority share \
            the work by their weights. What is in work stays in work:

              quire priority letters 5
              quire priority letters 0 --weight 3
              quire priority letters -- -1
            """)

    @Argument(help: "The batch's name or number.")
    package var batch: String

    @Argument(help: "Higher goes first; 0 is the usual one.")
    package var priority: Int32

    @Option(help: "The share among batches of one priority. [default: as before]")
    package var weight: Double?

    package init() {}

    package mutating func validate() throws {
        if let weight { try SourceOptions.check(weight: weight) }
    }

    package func run() async throws {
        try await Sessions.with(try Settings()) { session in
            let batch = try await BatchLookup.batch(named: batch, in: session.queue)
            let weight = try await session.queue.setPriority(Int(priority), weight: weight, batch: batch.id)
            Console.line(
                "Batch \(OneLine.text(batch.name)) has priority \(priority) and weight \(WeightText.text(weight)).")
        }
    }
}

/// Weights for people.
enum WeightText {
    /// Without a fraction where it is whole.
    static func text(_ weight: Double) -> String {
        weight.rounded() == weight && abs(weight) < 1e9 ? String(Int(weight)) : String(Float(weight))
    }
}
