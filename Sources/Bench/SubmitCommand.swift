import ArgumentParser
import Glibc
import Shared
import SystemPackage

/// Implements `quire-bench submit`.
struct SubmitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "submit",
        abstract: "Measures the submission of many small files, with a SIGKILL in the middle.",
        discussion: """
            For each number of files: makes so many small PDF, TIFF, PNG and JPEG files, each with another content, has \
            `quire submit` look into them on a private database, kills it with SIGKILL when a quarter is stored, gives the \
            same command again, and once more when all is done. Then the tables are checked: each file once, each page \
            covered once. Reports times and the peak of resident memory.
            """)

    @Option(parsing: .upToNextOption, help: "How many files; each number is a run of its own.")
    var files: [Int] = [10_000, 100_000]

    @Option(help: "The folder of a model, which the batch is made for; nothing is recognised.")
    var model: String = "models/quire-nano"

    @Option(help: "Append each figure to this file as a line of JSON.")
    var json: String?

    /// The peak of memory with the most files may be so many times that with the fewest.
    private static let mostGrowth = 1.2
    /// Minutes that 100,000 files may take; fewer files are not held to it.
    private static let mostMinutes = 10.0

    func validate() throws {
        guard files.allSatisfy({ $0 >= 100 }) else { throw ValidationError("Give at least 100 files.") }
    }

    func run() async throws {
        let wasInterrupted = try await StopSignal.interrupts {
            var log = try FigureLog(path: json, isAppending: true)
            var peaks: [(files: Int, bytes: Int)] = []
            for count in files {
                // Removed and stopped in any case: both fill the disk otherwise.
                let folder = try TemporaryFolder(prefix: "quire-submit")
                let server = try await QueueServer.start(connectionString: nil)
                do {
                    peaks.append((count, try await measure(count, folder.path, server, &log)))
                    await server.stop()
                } catch {
                    await server.stop()
                    throw error
                }
            }
            if let first = peaks.min(by: { $0.files < $1.files }), let last = peaks.max(by: { $0.files < $1.files }),
                last.files > first.files
            {
                try log.add(
                    "submit: peak memory with \(last.files) files, times that with \(first.files)",
                    Double(last.bytes) / Double(first.bytes), "", goal: .atMost(Self.mostGrowth))
            }
            for figure in log.figures { print("\(figure.what): \(SpeedReport.fixed(figure.value, 2)) \(figure.unit)") }
            print("\n\(log.goals)")
            guard log.figures.allSatisfy(\.isMet) else { throw ExitCode.failure }
        }
        if wasInterrupted { throw ExitCode(130) }
    }

    /// Returns the peak of memory, bytes.
    private func measure(
        _ count: Int, _ folder: FilePath, _ server: QueueServer, _ log: inout FigureLog
    ) async throws -> Int {
        print("Making \(count) files ...")
        let archive = folder.appending("archive")
        guard archive.withPlatformString({ mkdir($0, 0o755) }) == 0 else { throw Errno(rawValue: errno) }
        let files = SmallFiles(folder: archive, count: count)
        try files.write()
        // Files that were written just now are looked into once more the next time.
        try await Task.sleep(for: .seconds(2.5))
        let queue = try await server.makeQueue()
        let ledger = SubmissionLedger(queue: queue, files: files)
        let submit = { (killWhen: () async throws -> Bool) in
            try await SubmissionRun.run(
                try SubmissionRun.program(), ["submit", archive.string],
                environment: SubmissionRun.environment([
                    "DATABASE_URL=\(server.connectionString)", "QUIRE_MODEL=\(model)",
                ]), log: folder.appending("log"), killWhen: killWhen)
        }

        let killed = try await submit { try await ledger.stored() >= count / 4 }
        let before = try await ledger.stored()
        guard killed.status == SIGKILL, before < count else {
            throw QueueProblem(reason: "quire submit could not be killed in the middle: \(killed.output)")
        }
        print("Killed after \(SpeedReport.fixed(killed.seconds, 1)) s with \(before) files stored.")
        let rest = try await submit { false }
        guard rest.status == 0 else { throw QueueProblem(reason: "quire submit failed: \(rest.output)") }
        let again = try await submit { false }
        guard again.status == 0 else { throw QueueProblem(reason: "quire submit failed: \(again.output)") }

        let name = "submit, \(count) files"
        let seconds = killed.seconds + rest.seconds
        try log.add(
            "\(name): both runs", seconds / 60, "min",
            goal: count >= 100_000 ? .atMost(Self.mostMinutes * Double(count) / 100_000) : nil)
        try log.add("\(name): stored in the second run", Double(count - before) / rest.seconds, "files/s")
        try log.add("\(name): stored before the SIGKILL", Double(before), "files")
        let twice = Double(before - Self.unchanged(rest.output))
        try log.add("\(name): stored files looked into again after the SIGKILL", twice, "files", goal: .atMost(0))
        try log.add("\(name): once more, all unchanged", again.seconds, "s")
        let missed = Double(count - Self.unchanged(again.output))
        try log.add("\(name): not known as unchanged then", missed, "files", goal: .atMost(0))
        for fault in try await ledger.faults() {
            try log.add("\(name): \(fault.what)", Double(fault.count), "", goal: .atMost(0))
        }
        let peak = [killed, rest, again].map(\.peakBytes).max() ?? 0
        try log.add("\(name): peak memory of quire submit", Double(peak) / 1_048_576, "MiB")
        await queue.database.close()
        return peak
    }

    /// The number in "12 documents unchanged"; 0 where there is no such line.
    private static func unchanged(_ output: String) -> Int {
        for line in output.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 3, words[2] == "unchanged", let count = Int(words[0]) { return count }
        }
        return 0
    }
}
