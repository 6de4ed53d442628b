private import Dispatch
package import Rendering
package import SystemPackage

/// What Quire makes of one file, as far as a mutation run asks.
package struct MutationTrial: Sendable {
    package struct Page: Sendable {
        package let number: Int
        /// Nil where it has a picture.
        package let error: RenderError?
        package let hasInk: Bool
        package let notes: [RenderNote]

        /// Failed, or noted: someone who looks will look again.
        package var isTold: Bool { error != nil || !notes.isEmpty }
    }

    package let format: DocumentFormatName?
    /// Why the file is not read at all.
    package let refusal: RenderError?
    package let documentNotes: [RenderNote]
    package let pages: [Page]
    package let seconds: Double

    /// The pages of a file that are looked at, at most.
    package static let mostPages = 4

    /// Puts a file through what counts pages and what draws them.
    package init(_ file: FilePath, inspector: DocumentInspector, renderer: PageRenderer) async {
        let start = DispatchTime.now().uptimeNanoseconds
        var pages: [Page] = []
        do throws(RenderError) {
            let summary = try await inspector.inspect(file)
            format = summary.format
            refusal = nil
            documentNotes = summary.notes
            let session = renderer.session(file, pages: 1...min(Self.mostPages, summary.pageCount))
            while let page = await session.next() {
                switch page.result {
                case .failure(let error):
                    pages.append(Page(number: page.page, error: error, hasInk: false, notes: page.notes))
                case .success(let image):
                    let hasInk = image.bytes.withUnsafeBufferPointer {
                        PageInk.isThere(in: $0, width: image.width, height: image.height)
                    }
                    pages.append(Page(number: page.page, error: nil, hasInk: hasInk, notes: page.notes))
                }
            }
        } catch {
            format = nil
            refusal = error
            documentNotes = []
        }
        self.pages = pages
        seconds = Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
    }

    /// All failures, of the file and of its pages.
    package var errors: [RenderError] { (refusal.map { [$0] } ?? []) + pages.compactMap(\.error) }

    /// Whether all went as agreed: whatever a child dies of is told, and nothing hangs.
    package var isOrderly: Bool {
        errors.allSatisfy { error in
            switch error.kind {
            case .broken, .machine, .unanswered, .interrupted, .unopenable, .changed: false
            case .damaged, .unsupported, .locked, .tooLarge, .timedOut, .crashed: true
            }
        }
    }

    /// What the format's own tool complains of although a page is done or blank without a word.
    package func silence(_ file: FilePath, in folder: FilePath) throws(ToolMissing) -> [String] {
        guard let format, documentNotes.isEmpty else { return [] }
        if format == .pdf {
            var complaints: [String] = []
            for page in pages where !page.isTold {
                guard let verdict = ReferenceVerdict(file, format, page: page.number, in: folder) else {
                    throw ToolMissing()
                }
                complaints += verdict.complaints
            }
            return complaints
        }
        guard !pages.isEmpty, pages.allSatisfy({ !$0.isTold }) else { return [] }
        guard let verdict = ReferenceVerdict(file, format, page: 1, in: folder) else { throw ToolMissing() }
        return verdict.complaints
    }

    /// A reference tool is not installed.
    package struct ToolMissing: Error, CustomStringConvertible {
        package var description: String { "A reference tool is missing: install \(ReferenceVerdict.packages)." }
    }
}
