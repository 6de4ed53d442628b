import ArgumentParser
import Mutations
import Rendering
import SystemPackage

/// Implements `quire-bench big`.
struct BigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "big",
        abstract: "Draws an A0 sheet at 600 dpi in each format, a very long roll, and a document of 2,000 pages.",
        discussion: """
            The files are made by tools/big-files with a Python that has numpy, Pillow and tifffile (`make bench-big`); \
            together they take some 300 MB. Exit code 1: a page has no picture, or a child came to its limit of memory.
            """)

    @Argument(help: "The folder that tools/big-files filled.")
    var folder: String

    @Option(help: "Only files whose name holds this.")
    var only: String = ""

    @Option(help: "Draw only so many pages of each file.")
    var pages: Int = 2000

    func run() async throws {
        let renderer = try PageRenderer.besideThisProgram()
        let limit = renderer.limits.memoryBytes
        let documents = await DocumentFolder([folder], renderer: renderer)
        guard !documents.documents.isEmpty else { throw ValidationError("There are no documents in \(folder).") }
        if documents.othersCount > 0 { print("\(documents.othersCount) files cannot be read.") }
        let memory = ChildMemory()
        defer { memory.stop() }
        var rows: [[String]] = []
        var isMet = documents.othersCount == 0
        for document in documents.documents where only.isEmpty || document.name.contains(only) {
            _ = memory.take()
            let clock = ContinuousClock()
            let start = clock.now
            let session = renderer.session(document.file, pages: 1...min(pages, document.summary.pageCount))
            var (drawn, sizes, notes, failures) = (0, Set<String>(), [String](), [String]())
            while let page = await session.next() {
                notes += page.notes.map { "\($0.code.rawValue): \($0.text)" }
                switch page.result {
                case .success(let image):
                    drawn += 1
                    sizes.insert("\(image.width) x \(image.height)")
                case .failure(let error): failures.append("page \(page.page): \(error.message)")
                }
            }
            let peak = memory.take()
            isMet = isMet && failures.isEmpty && peak.address < limit
            rows.append([
                document.name, "\(drawn)", sizes.sorted().first ?? "none",
                SpeedReport.fixed((clock.now - start) / .seconds(1), 1),
                "\(peak.resident >> 20)", "\(peak.address >> 20)",
            ])
            for line in Array(Set(notes)).sorted().prefix(3) + failures.prefix(3) { print("\(document.name): \(line)") }
        }
        print(
            "\n"
                + TextTable(
                    heading: ["file", "pages", "pixels", "seconds", "resident MiB", "address space MiB"], rows: rows
                ).text + "\n\nA child may have \(limit >> 20) MiB of address space (--render-memory).")
        if !isMet { throw ExitCode.failure }
    }
}
