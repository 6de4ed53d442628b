import Dispatch
private import Glibc
private import Synchronization
import SystemPackage

/// The blocking half of a session.
///
/// `@unchecked Sendable`: `remaining`, `child` and `failure` are touched on `queue` only; `control` has its own lock.
final class SessionWork: @unchecked Sendable {
    let queue = DispatchQueue(label: "quire.rendering.session")

    private let executable: FilePath
    private let open: @Sendable () throws(RenderError) -> SourceFile
    private let limits: RenderLimits
    private var remaining: ClosedRange<Int>?
    private var child: RenderChild?
    private var source: SourceFile?
    /// Why no page of the document can be had.
    private var failure: RenderError?

    private struct Control {
        var isCancelled = false
        var process: ChildProcess?
        var pageCount: Int?
        /// The page that is being read, or was last.
        var page: Int
    }
    private let control: Mutex<Control>

    /// `open` gives the document, once.
    init(
        executable: FilePath, pages: ClosedRange<Int>, limits: RenderLimits,
        open: @escaping @Sendable () throws(RenderError) -> SourceFile
    ) {
        self.executable = executable
        self.open = open
        self.limits = limits
        remaining = pages
        control = Mutex(Control(page: pages.lowerBound))
    }

    /// For how long a page may stand still: a child has its own limit, and whatever else is read is a file.
    var patience: Duration { .seconds(limits.wholeSecondsPerPage + 30) }

    /// From any thread: the page that is being read, or was last.
    var page: Int { control.withLock { $0.page } }

    /// How many pages the child says that the document has; nil until it has opened it.
    var pageCount: Int? { control.withLock { $0.pageCount } }

    /// From any thread: kills the child and ends the session.
    func cancel() {
        let process = control.withLock { control in
            control.isCancelled = true
            return control.process
        }
        process?.kill()
        queue.async { self.drop() }
    }

    /// The next page; nil at the end.
    func next(_ progress: PatientReading.Progress) -> RenderedPage? {
        guard let range = remaining, !isCancelled else {
            drop()
            return nil
        }
        let page = range.lowerBound
        control.withLock { $0.page = page }
        let start = DispatchTime.now().uptimeNanoseconds
        var rendered: RenderedPage
        do throws(RenderError) {
            rendered = try render(page, to: range.upperBound, progress)
        } catch {
            let waited = Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
            rendered = RenderedPage(page: page, result: .failure(error), seconds: waited)
        }
        progress.advance()
        if let change = change() {
            rendered = RenderedPage(page: page, result: .failure(change), seconds: rendered.seconds)
        }
        remaining = page < range.upperBound ? page + 1...range.upperBound : nil
        if remaining == nil || isCancelled { drop() }
        return isCancelled ? nil : rendered
    }

    private var isCancelled: Bool { control.withLock { $0.isCancelled } }

    private func drop() {
        control.withLock { $0.process = nil }
        child = nil
    }

    /// Why neither a drawn page nor a failure may be believed: the file is no longer what was opened.
    private func change() -> RenderError? {
        do throws(RenderError) {
            try source?.checkUnchanged()
            return nil
        } catch {
            drop()
            failure = error
            return error
        }
    }

    /// An error thrown here costs this page only, unless `failure` says otherwise.
    private func render(
        _ page: Int, to last: Int, _ progress: PatientReading.Progress
    ) throws(RenderError) -> RenderedPage {
        if let failure { throw failure }
        let child = try opened(from: page, to: last, progress)
        progress.advance()
        do throws(RenderError) {
            let limits = limits
            let message = try child.next { header in
                header.number == page ? Self.payload(of: header, limits) : nil
            }
            let header = message.header
            guard header.status == .image else {
                let error = child.error(of: message)
                _ = child.takeNotes()
                if header.number != page { drop() }
                return RenderedPage(page: page, result: .failure(error), seconds: Self.seconds(header))
            }
            // A page whose every text is left out for want of fonts must not pass for a blank one.
            if child.noiseSinceLastMessage().speaksOfFonts, message.payload.allSatisfy({ $0 == 255 }) {
                // What poppler says does not tell whose font it is: this machine's are told by drawing with them.
                try RenderChild.selfTest(executable, limits: limits)
                throw Self.badFont
            }
            let image = PageImage(
                width: Int(header.width), height: Int(header.height), bytes: message.payload, dpi: header.dpi)
            return RenderedPage(
                page: page, result: .success(image), notes: child.takeNotes(), seconds: Self.seconds(header))
        } catch {
            // The next page gets a new child: a hostile document costs the pages on which children die.
            drop()
            throw error
        }
    }

    /// The running child, or a new one that has opened the document; what fails here fails for every page.
    private func opened(
        from first: Int, to last: Int, _ progress: PatientReading.Progress
    ) throws(RenderError) -> RenderChild {
        if let child { return child }
        do throws(RenderError) {
            let source = if let source { source } else { try open() }
            self.source = source
            let document = try DocumentFile(source)
            _ = try document.format()
            progress.advance()
            let (child, opened) = try RenderChild.opening(
                document, with: executable,
                RenderRequest(.pages, first: first, last: last, limits: limits, parent: getpid()))
            // Those on the document are told when its pages are counted.
            _ = child.takeNotes()
            let isCancelled = control.withLock { control in
                control.process = child.process
                control.pageCount = Int(opened.number)
                return control.isCancelled
            }
            if isCancelled { child.process.kill() }
            self.child = child
            return child
        } catch {
            drop()
            failure = error
            throw error
        }
    }

    private static let badFont = RenderError(
        .damaged,
        "A font that the document holds is damaged, and nothing of the page can be drawn without it: save the document "
            + "anew from the program that made it, or scan the page.")

    private static func seconds(_ header: FrameHeader) -> Double { Double(header.microseconds) / 1e6 }

    /// The exact length of an image's payload; nil where the size is beyond the limits.
    private static func payload(of header: FrameHeader, _ limits: RenderLimits) -> ClosedRange<Int>? {
        let (pixels, overflow) = Int(header.width).multipliedReportingOverflow(by: Int(header.height))
        guard !overflow, pixels > 0, pixels <= limits.maxPixels else { return nil }
        return pixels * 3...pixels * 3
    }
}
