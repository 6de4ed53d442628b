import ArgumentParser
import Mutations
import Rendering
import SystemPackage

/// Implements `quire-bench mutate`.
struct MutateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mutate",
        abstract: "Spoils sound files in many ways, and holds what Quire says of them against other tools.",
        discussion: """
            Each mutation (bytes flipped, a run zeroed, the file cut, runs swapped, bytes inserted) is made from a number, \
            so that a run can be repeated. Where pdftoppm, tiffinfo, djpeg or pngcheck complain, no page may be done or \
            blank without a note, but for complaints that are accepted (AcceptedComplaint.swift). Exit code 1: there is \
            such a page, or a process broke the agreement. Run it in the project's folder.
            """)

    @Option(help: "How many mutations.")
    var count: Int = 2000

    @Option(help: "The number of the first.")
    var first: Int = 0

    @Option(help: "Seed: another one makes other mutations of the same numbers.")
    var seed: Int = 15

    @Option(help: "Only seed files whose path holds this.")
    var only: String = ""

    @Option(help: "Keep the files that are told of in this folder.")
    var keep: String?

    func validate() throws {
        guard count > 0, first >= 0, seed >= 0 else { throw ValidationError("Give numbers that are not negative.") }
    }

    func run() async throws {
        let files = MutationSeeds.files(in: ".").filter { only.isEmpty || $0.name.contains(only) }
        guard !files.isEmpty else { throw ValidationError("No seed file is there: run it in the project's folder.") }
        let scratch = try TemporaryFolder(prefix: "quire-bench-mutate")
        var renderer = try PageRenderer.besideThisProgram()
        renderer.limits.secondsPerPage = 20
        var inspector = DocumentInspector(renderer)
        var report = MutationReport()
        for number in first..<first + count {
            // One inspector for many files, as when a folder is submitted; a new one now and then.
            if number.isMultiple(of: 500) { inspector = DocumentInspector(renderer) }
            // Numbers go round the kinds of mutation, files advance once a round.
            let place = number / Mutation.Kind.allCases.count % files.count
            let (name, bytes) = files[place]
            let mutation = Mutation(number: number)
            let base = FilePath(name).lastComponent?.string ?? "file"
            let file = scratch.path.appending("\(number)-\(base)")
            try ToolRun.write(mutation.applied(to: bytes, seed: UInt64(seed)), to: file)
            let trial = await MutationTrial(file, inspector: inspector, renderer: renderer)
            let complaints = try trial.silence(file, in: scratch.path)
            report.add(trial, mutation, of: name, complaints: complaints)
            if let keep, !trial.isOrderly || complaints.contains(where: { AcceptedComplaint.reason(for: $0) == nil }) {
                try ToolRun.write(ToolRun.bytes(of: file) ?? [], to: FilePath(keep).appending("\(number)-\(base)"))
            }
            TemporaryFolder.remove(file)
            if (number - first + 1).isMultiple(of: 500) { print("\(number - first + 1) of \(count) ...") }
        }
        print(report.text)
        if !report.isClean { throw ExitCode.failure }
    }
}
