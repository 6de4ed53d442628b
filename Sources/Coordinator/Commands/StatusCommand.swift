package import ArgumentParser
private import FoundationEssentials
internal import Shared
internal import SystemPackage

/// `quire status`: how far batches are, who works on them and what went wrong.
package struct StatusCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Shows batches, workers and the latest problems.",
        discussion: """
            For each batch: its documents and pages by state, pages a minute, and the time left. A batch that \
            does not go on says why. Then the workers with their device and when they were last heard of, and for what \
            reasons files and pages could not be read, each with an example; `quire show` tells more of it. Last, what was \
            noted on pages that are done although something is wrong with them, and on documents.

            With --watch the display is renewed every two seconds (a line every few seconds where the output is no terminal) \
            until nothing is pending, or until Ctrl-C. With --json it is one JSON object; with both, one on each line.

            The exit code is 0; 2 when there is no such batch; 3 when the database cannot be used.

            EXAMPLE
              quire status
              quire status archive --watch
              quire status archive --json | jq '.batches[0].pages'
            """)

    @Argument(help: "The batch to show; all of them if none is named.")
    package var batch: String?

    @Flag(help: "Write JSON for programs.")
    package var json = false

    @Flag(help: "Go on until nothing is pending.")
    package var watch = false

    package init() {}

    /// Reasons that are shown.
    private static let problemCount = 10

    package func run() async throws {
        try await Sessions.with(try Settings(), limits: .brief) { session in try await show(session.queue) }
    }

    private func show(_ queue: PageQueue) async throws {
        var number: Int64?
        if let batch { number = try await BatchLookup.batch(named: batch, in: queue).id }
        guard watch else {
            let report = try await Self.report(queue, batch: number)
            if json {
                Console.line(try Self.text(report, [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]))
            } else {
                for line in report.lines { Console.line(line) }
            }
            return
        }
        let (json, batch) = (json, number)
        // Watching ends well when it is interrupted, too.
        _ = try await StopSignal.interrupts { try await Self.follow(queue, batch: batch, json: json) }
    }

    private static func follow(_ queue: PageQueue, batch: Int64?, json: Bool) async throws {
        let display = ProgressDisplay(output: .standardOutput)
        while true {
            let report = try await report(queue, batch: batch)
            let isOver = report.batches.allSatisfy { $0.isFinished || $0.state == .cancelled || $0.state == .deleting }
            if json {
                Console.line(try text(report, [.sortedKeys, .withoutEscapingSlashes]))
            } else if display.isTerminal {
                display.show(report.lines)
            } else if isOver {
                display.finish()
                for line in report.lines { Console.line(line) }
            } else {
                display.show(
                    report.batches.filter { !$0.isFinished }
                        .map { "\(OneLine.text($0.name)): \(ProgressLine($0).text)" })
            }
            if isOver { return }
            try await Task.sleep(for: .seconds(2))
        }
    }

    private static func report(_ queue: PageQueue, batch: Int64?) async throws -> StatusReport {
        StatusReport(
            batches: try await queue.status(batch: batch), workers: try await queue.workers(),
            problems: try await queue.problemGroups(batch: batch, limit: problemCount),
            waits: try await queue.waits(batch: batch), notes: try await queue.noteGroups(batch: batch))
    }

    private static func text(_ report: StatusReport, _ format: JSONEncoder.OutputFormatting) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = format
        return String(decoding: try encoder.encode(report), as: UTF8.self)
    }
}
