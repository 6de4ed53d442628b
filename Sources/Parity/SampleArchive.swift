package import Inference
private import Rendering
package import SystemPackage
private import TextDistance

/// Pages of an archive whose true text lies beside them, rendered as for recognition.
///
/// The truth of `letter.pdf` is `letter.pdf.truth.md`, its pages separated by form feeds. A page whose truth is empty
/// is blank, which a pipeline tells before it asks the model, and is left out.
package struct SampleArchive: Sendable {
    /// A page with its text.
    package struct Page: Sendable {
        /// The document's path below the archive, and the page's number from 1.
        package let name: String
        package let image: RGBImage
        package let truth: String
        package let isPDF: Bool
    }

    package let pages: [Page]

    /// What a pipeline renders PDF pages at that are not scans.
    package static let usualDPI = RenderLimits().pdfDPI

    /// Renders the pages.
    ///
    /// - Parameters:
    ///   - path: the archive's folder.
    ///   - dpi: what PDF pages are rendered at, again at each; scans have a resolution of their own and come once.
    /// - Throws: where there is no such page, or one of them cannot be rendered.
    package init(_ path: FilePath, dpi: [Int] = [usualDPI]) async throws(ParityError) {
        let folder = GoldenFolder(path)
        let renderer: PageRenderer
        do {
            renderer = try PageRenderer.besideThisProgram()
        } catch {
            throw ParityError("\(error)")
        }
        var pages: [Page] = []
        for name in Self.documents(in: folder) {
            for (place, dpi) in dpi.enumerated() {
                pages += try await Self.pages(of: name, in: folder, renderer, dpi: dpi, isFirst: place == 0)
            }
        }
        guard !pages.isEmpty else {
            throw ParityError("\(path) holds no document with its text beside it (NAME.truth.md)")
        }
        self.pages = pages
    }

    private static let suffix = ".truth.md"

    /// Paths of documents that have a truth, below the folder.
    private static func documents(in folder: GoldenFolder, below parent: String? = nil, depth: Int = 0) -> [String] {
        guard depth < 16 else { return [] }
        let names = folder.names(in: parent)
        let all = Set(names)
        return names.flatMap { name in
            let path = parent.map { "\($0)/\(name)" } ?? name
            if all.contains(name + suffix) { return [path] }
            return name.hasSuffix(suffix) ? [] : documents(in: folder, below: path, depth: depth + 1)
        }
    }

    private static func pages(
        of name: String, in folder: GoldenFolder, _ renderer: PageRenderer, dpi: Int, isFirst: Bool
    ) async throws(ParityError) -> [Page] {
        let text = String(decoding: try folder.bytes(name + suffix), as: UTF8.self)
        let truths = CharacterErrorRate.pages(ofTruth: text)
        let path = folder.path.appending(name)
        do {
            let summary = try await renderer.inspect(path)
            let session = renderer.session(path, pages: 1...summary.pageCount, pdfDPI: dpi)
            var pages: [Page] = []
            while let page = await session.next() {
                let image = try page.result.get()
                guard page.page <= truths.count, !truths[page.page - 1].allSatisfy(\.isWhitespace) else { continue }
                guard isFirst || (summary.format == .pdf && image.dpi == Double(dpi)) else { continue }
                pages.append(
                    Page(
                        name: "\(name) \(page.page) at \(dpi) dpi",
                        image: RGBImage(width: image.width, height: image.height, bytes: image.bytes),
                        truth: truths[page.page - 1], isPDF: summary.format == .pdf))
            }
            return pages
        } catch {
            throw ParityError("\(path) cannot be rendered: \(error)")
        }
    }
}
