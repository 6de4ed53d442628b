package import ArgumentParser
internal import Shared

/// `quire prune`.
package struct PruneCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "prune",
        abstract: "Takes old details out of the database.",
        discussion: """
            Says what would go; with --yes it goes. Of batches that are finished or cancelled: the ledger's entries about \
            attempts, and figures of the throughput. Results stay, but for:

              --replaced   results that a retry has replaced
              --results    with --batch: the batch as a whole, with all results that no other batch has a part in

              quire prune
              quire prune --older-than 90d --replaced --yes
              quire prune --batch letters --results --yes

            Batches with pages left to do are not touched. It works in small steps, beside workers, and may be interrupted.
            """)

    @Option(help: ArgumentHelp("What is younger stays: a number with s, m, h, d or w.", valueName: "age"))
    package var olderThan: AgeArgument = AgeArgument.month

    @Option(help: "Only this batch, by its name or number.")
    package var batch: String?

    @Flag(help: "Results that a retry has replaced, too.")
    package var replaced = false

    @Flag(help: "The whole batch with its results, however young. It cannot be brought back.")
    package var results = false

    @Flag(help: "Do it.")
    package var yes = false

    @Flag(help: "Only say what would go (this is the default).")
    package var dryRun = false

    package init() {}

    package mutating func validate() throws {
        if results, batch == nil { throw ValidationError("--results goes with --batch.") }
        if yes, dryRun { throw ValidationError("Give only one of --yes and --dry-run.") }
    }

    package func run() async throws {
        try await Sessions.with(try Settings()) { session in
            let queue = session.queue
            var batches = try await queue.status(batch: nil).filter {
                $0.isFinished || $0.state == .cancelled || $0.state == .deleting
            }
            if let batch {
                let wanted = try await BatchLookup.batch(named: batch, in: queue)
                batches = batches.filter { $0.id == wanted.id }
                guard !batches.isEmpty else {
                    throw CommandFailure(
                        .usage,
                        "Batch \(OneLine.text(wanted.name)) has pages left to do, so nothing of it is taken away. Wait for "
                            + "its end, or cancel it first: quire cancel \(OneLine.text(wanted.name))")
                }
            }
            if results, let batch = batches.first { return try await delete(batch, queue) }
            let counts = try await queue.prune(
                batches: batches.map(\.id), olderThan: olderThan.seconds, replaced: replaced, isTrial: !yes)
            let parts =
                [
                    NumberText.count(counts.attempts, "entry of the ledger", "entries of the ledger"),
                    NumberText.count(counts.throughput, "figure of the throughput", "figures of the throughput"),
                ] + (replaced ? [NumberText.count(counts.replaced, "replaced result")] : [])
            Console.line(
                "\(yes ? "Gone" : "Would go"), of \(NumberText.count(batches.count, "batch", "batches")): "
                    + parts.joined(separator: ", ") + ".")
            if !yes { Console.line("Nothing was changed. To do it, add --yes.") }
        }
    }

    private func delete(_ batch: BatchStatus, _ queue: PageQueue) async throws {
        let counts = yes ? try await queue.deleteBatch(batch.id) : try await queue.deletion(of: batch.id)
        let shared = counts.documents - counts.ownDocuments
        Console.line(
            "\(yes ? "Gone" : "Would go"): batch \(OneLine.text(batch.name)) with "
                + "\(NumberText.count(counts.documents, "document")) and \(NumberText.count(counts.results, "result"))"
                + (shared > 0 ? "; other batches keep the results of \(shared) of them." : "."))
        if !yes { Console.line("Nothing was changed. To do it, add --yes.") }
    }
}
