import ArgumentParser
import Mutations
import Rendering
import SystemPackage

/// Implements `quire-bench render`.
struct RenderCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "render",
        abstract: "Compares drawn pages with those of pdftoppm and pdfium, or with those of another build.",
        discussion: """
            Draws every page below the folders by each of Quire's renderers, and pages of PDF by pdftoppm and pdfium at \
            the same size; a difference is the mean over all samples, of 255. With --before every page is drawn by both \
            builds in turn instead, and pages whose size, pixels or state changed are listed. Run it in the project's folder.
            """)

    @Argument(help: "Folders with documents; those that are not there are left out.")
    var folders: [String] = ["samples/archive", "../shared/corpus"]

    @Option(parsing: .upToNextOption, help: "Quire's renderers: either (as in a worker), cairo, splash.")
    var renderers: [PDFRendererName] = [.either, .cairo, .splash]

    @Option(help: "A Python that has pypdfium2; without one pdfium is left out.")
    var python: String?

    @Option(help: "The folder of another build that holds its quire-render.")
    var before: String?

    @Option(help: "How often all pages are drawn by both builds.")
    var rounds: Int = 3

    @Option(help: "How many of the worst pages are listed.")
    var worst: Int = 10

    func run() async throws {
        let renderer = try PageRenderer.besideThisProgram()
        let folder = await DocumentFolder(folders, renderer: renderer)
        let pages = folder.documents.reduce(0) { $0 + $1.summary.pageCount }
        print("\(folder.documents.count) documents, \(pages) pages; \(folder.othersCount) other files.\n")
        if let before {
            let other = PageRenderer(executable: FilePath(before).appending("quire-render"), limits: renderer.limits)
            try await BuildComparison(documents: folder.documents, before: other, now: renderer, rounds: rounds).run()
            return
        }
        let scratch = try TemporaryFolder(prefix: "quire-bench-render")
        for name in renderers {
            var limits = renderer.limits
            limits.pdfRenderer = name.renderer
            let drawn = RendererComparison(
                name: "Quire, \(name.rawValue)",
                renderer: PageRenderer(executable: renderer.executable, limits: limits),
                python: python, scratch: scratch.path, worst: worst)
            print(await drawn.table(of: folder.documents) + "\n")
        }
    }
}

/// A renderer as it is given on the command line.
enum PDFRendererName: String, ExpressibleByArgument, CaseIterable {
    case either, cairo, splash

    var renderer: RenderLimits.PDFRenderer {
        switch self {
        case .either: .either
        case .cairo: .cairo
        case .splash: .splash
        }
    }
}
