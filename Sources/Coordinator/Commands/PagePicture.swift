internal import Digest
internal import Rendering
internal import Shared
internal import SystemPackage

/// The picture of a page as the model is given it, drawn anew from the file that holds the page.
struct PagePicture {
    let png: [UInt8]
    /// Its size, what was noted while it was drawn, and how it differs from what was recognised.
    let lines: [String]

    /// Draws it from the first of the page's files that still holds the content that the database knows.
    init(_ report: PageReport, roots: [String: FilePath], renderer: PageRenderer) async throws {
        let source = try await Self.source(report, roots)
        let pipeline = report.result?.pipeline ?? report.pipeline
        let session = renderer.session(source, pages: report.page...report.page, pdfDPI: pipeline.pdfDPI)
        guard let rendered = await session.next() else {
            throw RenderError(.broken, "quire-render sent no page. Run quire doctor.")
        }
        let image = try rendered.result.get()
        png = try await renderer.encodePNG(image)
        let dpi = image.dpi.map { ", \(NumberText.rate($0)) dpi" } ?? ""
        var lines = ["\(image.width) x \(image.height) pixels\(dpi), of \(source.path.displayText)"]
        lines += rendered.notes.map { "note \($0.code.rawValue): \(OneLine.text($0.text))" }
        if let facts = report.result?.facts, (facts.width, facts.height) != (image.width, image.height) {
            lines.append(
                "The page was recognised from \(facts.width) x \(facts.height) pixels: other limits of rendering, or another "
                    + "version of Quire, drew it then.")
        }
        self.lines = lines
    }

    /// An open file that holds the document's content.
    private static func source(_ report: PageReport, _ roots: [String: FilePath]) async throws -> SourceFile {
        var reasons: [String] = []
        for file in report.files {
            guard let root = roots[file.location.root] else {
                reasons.append(
                    "\(file.location.path.displayText): its root is not known here; say where it is with --root "
                        + "\(OneLine.text(file.location.root))=/PATH.")
                continue
            }
            let path = root.appending(file.location.path.components)
            do throws(RenderError) {
                let (source, digest) = try await PageRenderer.blocking { () throws(RenderError) in
                    let source = try SourceFile(path)
                    let digest = try SHA256.hash { buffer, offset throws(RenderError) in
                        try source.read(into: buffer, at: offset)
                    }
                    try source.checkUnchanged()
                    return (source, digest)
                }
                if digest == report.sha256 { return source }
                reasons.append(
                    "\(path.displayText): it has changed since it was submitted, so that this is another page. Submit its "
                        + "folder again.")
            } catch {
                reasons.append("\(path.displayText): \(error.message)")
            }
        }
        let shown = reasons.prefix(8) + (reasons.count > 8 ? ["and \(reasons.count - 8) more files"] : [])
        throw CommandFailure(
            .partial,
            "The page's picture cannot be made: "
                + (shown.isEmpty ? "no batch has a file of this document any more." : shown.joined(separator: "\n")))
    }
}
