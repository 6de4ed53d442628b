private import CPDFCore
private import CPoppler
import Rendering

/// A PDF opened by poppler.
///
/// Its core tells what a page holds and what is wrong; cairo draws, by poppler-glib. Where that meets a limit, where the
/// parser complains, or where nothing shows although something should, Splash draws as well, and what shows more counts
/// (docs/rendering.md).
final class PDFDocument: RenderableDocument {
    private let input: InputFile
    private let password: [UInt8]?
    private let core: OpaquePointer
    /// poppler-glib's document, opened when it is first wanted.
    private var forCairo: OpaquePointer?
    private var isCairoTried = false
    let pageCount: Int
    let notes: [RenderNote]
    /// What was said when the document was opened: it may concern any page.
    private let structure: [RenderNote]
    private let renderer: RenderLimits.PDFRenderer

    /// PDFs that claim more pages than this are taken for damaged.
    private static let mostPages = 1_000_000
    /// cairo's pictures reach no further than this on a side.
    private static let longestSide = 32_767
    /// Names of attachments that are told.
    private static let mostNames = 50
    /// So many characters cannot all be without ink.
    private static let surelyInk = 8

    /// Opens by descriptor.
    ///
    /// `password` is nil where none is known; `listsAttachments` costs a look at every page.
    init(
        _ input: InputFile, password: [UInt8]?, renderer: RenderLimits.PDFRenderer, listsAttachments: Bool
    ) throws(RenderError) {
        quire_pdf_start()
        self.input = input
        self.renderer = renderer
        (core, self.password) = try Self.open(input, password)
        let tree = quire_pdf_tree(core, Int64(Self.mostPages))
        guard !tree.isEndless else {
            throw RenderError(.tooLarge, "The PDF claims more than \(Self.mostPages) pages: it is damaged.")
        }
        guard tree.places >= 1 else {
            throw RenderError(
                .damaged, "The PDF has no pages: it is cut off or damaged. Copy it again from its source.")
        }
        pageCount = Int(tree.places)
        structure = PDFMessages.notes(.opening)
        var notes = structure
        if tree.stated != tree.pages {
            let stated = tree.stated < 0 ? "no number of pages" : "\(tree.stated) pages"
            notes.append(
                RenderNote(
                    .pageCount,
                    "The PDF states \(stated), and its page tree holds \(tree.pages)"
                        + (tree.places > tree.pages
                            ? " and lists others that are missing." : ": all of these are read.")))
        }
        if listsAttachments, let names = Self.attachments(core) { notes.append(names) }
        self.notes = notes
    }

    deinit {
        if let forCairo { g_object_unref(UnsafeMutableRawPointer(forCairo)) }
        quire_pdf_close(core)
    }

    private static func attachments(_ core: OpaquePointer) -> RenderNote? {
        final class Names { var list: [String] = [] }
        let names = Names()
        quire_pdf_attachments(core, Int32(mostNames + 1), Unmanaged.passUnretained(names).toOpaque()) { context, name in
            guard let context else { return }
            let names = Unmanaged<Names>.fromOpaque(context).takeUnretainedValue()
            names.list.append(String(cString: name).cleaned(upTo: 200))
        }
        guard !names.list.isEmpty else { return nil }
        let told = names.list.prefix(mostNames).joined(separator: ", ")
        let more = names.list.count > mostNames ? ", and more" : ""
        return RenderNote(
            .attachments,
            "Files are attached to the PDF, which are not read: \(told)\(more). Save them as files of their own to have "
                + "them read.")
    }

    func render(_ place: Int, limits: RenderLimits, notes: PageNotes) throws(RenderError) -> PixelBuffer {
        let page = quire_pdf_page(core, Int64(place))
        guard page.isThere else {
            throw RenderError(
                .damaged,
                "The page is missing: the PDF's page tree names an object for it that is no page. The other pages keep "
                    + "their numbers. Repair the PDF with qpdf or mutool, or copy it again from its source.")
        }
        quire_pdf_forget_messages()
        notes.add(structure)
        if let boxes = page.boxes { notes.add(.boxesDisagree, String(cString: boxes)) }
        let contents = PDFContents(core, place: place)
        notes.add(contents.notes)
        if let reason = contents.nothingDecoded {
            if let note = contents.notes.first(where: { $0.code == .unsupported }) {
                throw RenderError(.unsupported, "\(note.text) Convert the PDF to a usual kind.")
            }
            throw RenderError(
                .damaged,
                "Nothing of the page's picture can be decoded (\(reason)): copy the PDF again from its source.")
        }
        let size = try PageSize(
            page: (page.width, page.height), userUnit: page.userUnit, contents: contents, limits: limits, notes: notes)
        let image = try draw(place, Int(page.glibNumber), size, contents, limits, notes)
        image.whiten(rowsMissingIn: contents, scale: size.scale)
        if !image.hasInk, !notes.leaveDoubt, contents.visibleCharacters >= Self.surelyInk {
            notes.add(
                .contentDamaged, "\(contents.visibleCharacters) characters that should be seen leave no ink.")
        }
        return image
    }

    private func draw(
        _ place: Int, _ number: Int, _ size: PageSize, _ contents: PDFContents, _ limits: RenderLimits,
        _ notes: PageNotes
    ) throws(RenderError) -> PixelBuffer {
        quire_pdf_mend_fonts(core)
        let seen = PDFMessages.count
        defer { notes.add(PDFMessages.notes(from: seen, .drawing)) }
        guard renderer != .splash, !contents.hasDamagedFonts, !Self.isBeyondCairo(size, contents),
            let page = cairoPage(number)
        else { return try PDFDrawing.splash(core, place: place, size, limits) }
        defer { g_object_unref(UnsafeMutableRawPointer(page)) }
        var refusal: RenderError?
        do throws(RenderError) {
            let image = try PDFDrawing.cairo(page, size, limits)
            let isDoubtful =
                notes.leaveDoubt || contents.hasGlyphOutsideBox || (!contents.isEmpty && !image.hasInk)
                || PDFMessages.notes(from: seen, .drawing).contains { $0.leavesDoubt }
            guard isDoubtful, renderer == .either else { return image }
            let second = try PDFDrawing.splash(core, place: place, size, limits)
            if second.showsMore(than: image) { return second }
            return image
        } catch {
            refusal = error
        }
        if let refusal, renderer == .cairo { throw refusal }
        return try PDFDrawing.splash(core, place: place, size, limits)
    }

    /// Whether the page, or a picture on it, is larger than cairo takes or than memory holds for it.
    private static func isBeyondCairo(_ size: PageSize, _ contents: PDFContents) -> Bool {
        size.width > longestSide || size.height > longestSide
            || contents.pictures.contains {
                $0.width > longestSide || $0.height > longestSide || $0.width > 64_000_000 / max(1, $0.height)
            }
    }

    /// A page for cairo; nil where poppler-glib does not have it.
    private func cairoPage(_ number: Int) -> OpaquePointer? {
        guard number > 0 else { return nil }
        if !isCairoTried {
            isCairoTried = true
            forCairo = Self.openForCairo(input, password)
        }
        return forCairo.flatMap { poppler_document_get_page($0, Int32(number - 1)) }
    }
}
