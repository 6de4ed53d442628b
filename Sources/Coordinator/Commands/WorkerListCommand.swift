package import ArgumentParser
private import FoundationEssentials
internal import Shared

/// `quire worker list`.
package struct WorkerListCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists the workers with what they do.",
        discussion: """
            A worker is working, idle, unwell (it says below what is wrong with it or its machine, and goes on by itself \
            when that is over), draining (asked to leave), silent (not heard of for 30 seconds; after 45 its pages go to \
            others) or ended. DONE counts the pages that it has handed over, in all its attempts:

              quire worker list
              quire worker list --all --json | jq '.[] | select(.state == "ended")'
            """)

    @Flag(help: "Ended workers, too; the latest hundred of them.")
    package var all = false

    @Flag(help: "Write JSON for programs.")
    package var json = false

    package init() {}

    package func run() async throws {
        try await Sessions.with(try Settings(), limits: .brief) { session in
            let workers = try await session.queue.workerActivity(includingEnded: all ? 100 : 0)
            if json {
                let encoder = JSONEncoder()
                encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
                return Console.line(String(decoding: try encoder.encode(workers), as: UTF8.self))
            }
            guard !workers.isEmpty else { return Console.line("No worker runs. Start one: quire-worker --model DIR") }
            for line in Self.lines(workers) { Console.line(line) }
        }
    }

    private static func lines(_ workers: [WorkerActivity]) -> [String] {
        var table = TextTable([
            ("ID", .right), ("WORKER", .left), ("HOST", .left), ("PID", .right), ("VERSION", .left), ("MODEL", .left),
            ("WEIGHTS", .left), ("STATE", .left), ("IN HAND", .right), ("SEEN", .right), ("DONE", .right),
        ])
        for worker in workers {
            table.add([
                String(worker.id), OneLine.text(worker.name), OneLine.text(worker.host), String(worker.pid),
                OneLine.text(worker.version), String(worker.modelDigest.prefix(12)), OneLine.text(worker.precision),
                worker.state.rawValue,
                String(worker.pagesInHand), "\(DurationText.text(seconds: worker.secondsSinceSeen)) ago",
                String(worker.pagesDone),
            ])
        }
        return table.lines
            + workers.compactMap { worker in
                guard let reason = worker.unwell, worker.state != .ended else { return nil }
                return
                    "\(OneLine.text(worker.name)) is unwell since \(worker.unwellSince ?? "?"): \(OneLine.text(reason))"
            }
    }
}
