import ArgumentParser
import Glibc
import Shared
import SystemPackage

/// Implements `quire-bench export`.
struct ExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Measures the export of many small documents, and memory when nothing has changed.",
        discussion: """
            For each number of documents: fills a private database with so many documents of one page, has `quire export` \
            write them, and gives the same command again when all is written. Reports times and the peak of resident memory. \
            A document takes about 20 kB and 5 inodes below /tmp; all of it is removed afterwards.
            """)

    @Option(parsing: .upToNextOption, help: "How many documents; each number is a run of its own.")
    var documents: [Int] = [50_000, 200_000]

    @Flag(
        help: """
            Do not wait for the disk in the first export, which then takes less time (libquire-power-cut.so of a build with \
            the tests). The figures of the second one are what they are.
            """)
    var fast = false

    @Option(help: "Append each figure to this file as a line of JSON.")
    var json: String?

    private static let mostMebibytes = 300.0
    /// What a document more may cost in a second export, bytes.
    private static let mostBytes = 150.0

    func validate() throws {
        guard documents.allSatisfy({ $0 >= 100 }) else { throw ValidationError("Give at least 100 documents.") }
    }

    func run() async throws {
        let wasInterrupted = try await StopSignal.interrupts {
            var log = try FigureLog(path: json, isAppending: true)
            var peaks: [(documents: Int, bytes: Int)] = []
            for count in documents {
                // Removed and stopped in any case: both fill the disk otherwise.
                let folder = try TemporaryFolder(prefix: "quire-export")
                let server = try await QueueServer.start(connectionString: nil)
                do {
                    peaks.append((count, try await measure(count, folder.path, server, &log)))
                    await server.stop()
                } catch {
                    await server.stop()
                    throw error
                }
            }
            if let first = peaks.min(by: { $0.documents < $1.documents }),
                let last = peaks.max(by: { $0.documents < $1.documents }), last.documents > first.documents
            {
                try log.add(
                    "export: memory for each document from \(first.documents) to \(last.documents)",
                    Double(last.bytes - first.bytes) / Double(last.documents - first.documents), "B",
                    goal: .atMost(Self.mostBytes))
            }
            for figure in log.figures { print("\(figure.what): \(SpeedReport.fixed(figure.value, 2)) \(figure.unit)") }
            print("\n\(log.goals)")
            guard log.figures.allSatisfy(\.isMet) else { throw ExitCode.failure }
        }
        if wasInterrupted { throw ExitCode(130) }
    }

    /// Returns the peak of memory of the second export, bytes.
    private func measure(
        _ count: Int, _ folder: FilePath, _ server: QueueServer, _ log: inout FigureLog
    ) async throws -> Int {
        print("Filling a database with \(count) documents ...")
        let queue = try await server.makeQueue()
        let filling = QueueFilling(pages: count, documentPages: 1)
        _ = try await filling.fill(queue)
        try await filling.finish(queue)
        await queue.database.close()
        let program = try SubmissionRun.program()
        let out = folder.appending("out")
        let export = { (more: [String]) in
            let run = try await SubmissionRun.run(
                program, ["export", "bench", "--out", out.string],
                environment: SubmissionRun.environment(["DATABASE_URL=\(server.connectionString)"] + more),
                log: folder.appending("log"))
            guard run.status == 0 else { throw QueueProblem(reason: "quire export failed: \(run.output)") }
            return run
        }
        print("Exporting them ...")
        let library = program.removingLastComponent().appending("libquire-power-cut.so")
        let first = try await export(fast ? ["LD_PRELOAD=\(library)", "QUIRE_CUT_NEVER_SYNC=1"] : [])
        let second = try await export([])
        guard second.output.contains("\(count) unchanged") else {
            throw QueueProblem(reason: "The second export wrote again: \(second.output)")
        }
        let name = "export, \(count) documents"
        try log.add(
            "\(name): written\(fast ? ", without waiting for the disk" : "")", Double(count) / first.seconds,
            "documents/s")
        try log.add(
            "\(name): peak memory", Double(first.peakBytes) / 1_048_576, "MiB", goal: .atMost(Self.mostMebibytes))
        try log.add("\(name): again, all unchanged", Double(count) / second.seconds, "documents/s")
        try log.add("\(name): again, seconds", second.seconds, "s")
        try log.add(
            "\(name): peak memory again", Double(second.peakBytes) / 1_048_576, "MiB", goal: .atMost(Self.mostMebibytes)
        )
        return second.peakBytes
    }
}
