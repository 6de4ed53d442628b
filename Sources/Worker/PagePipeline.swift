internal import ArchiveFiles
internal import Claiming
internal import Dispatch
internal import Glibc
internal import Inference
internal import Rendering
internal import Shared
internal import SystemPackage

/// A page's way through a worker: render, recognise, check, hand over.
///
/// Read it top-down.
struct PagePipeline: Sendable {
    let renderer: PageRenderer
    let engine: OCREngine
    /// Called where the device answers nothing any more.
    let deviceFailed: @Sendable (InferenceError) async -> Void

    /// What one lease's pages are made with.
    struct Plan: Sendable {
        let mode: ResolutionMode
        let prompt: String
        let maxNewTokens: Int
        let rule: NgramRule
    }

    /// What a lease asks of the engine.
    ///
    /// The n-gram windows are those of MODEL.md section 9.
    func plan(for lease: Lease) throws(LeaseProblem) -> Plan {
        guard let mode = ResolutionMode(rawValue: lease.pipeline.mode) else {
            throw LeaseProblem(
                .content(isPermanent: true), reason: "This worker knows no mode '\(lease.pipeline.mode)'.")
        }
        // The ban never touches table cells, which repeat by nature.
        let exempt = engine.exemptTokens
        let rule: NgramRule = lease.format == .pdf ? .pdf(exempt: exempt) : .image(exempt: exempt)
        return Plan(mode: mode, prompt: lease.pipeline.prompt, maxNewTokens: lease.pipeline.maxNewTokens, rule: rule)
    }

    /// The outcome of one rendered page.
    ///
    /// Throws `CancellationError`, or the `LeaseProblem` that its rendering met. What the model refuses is the content's.
    func outcome(
        of rendered: RenderedPage, plan: Plan, isCancelled: @escaping @Sendable () -> Bool
    ) async throws -> PageOutcome {
        let image: PageImage
        switch rendered.result {
        case .failure(let error):
            guard error.fault == .content else { throw LeaseProblem(error) }
            return failure(rendered.page, error.message, isPermanent: error.isPermanent)
        case .success(let rendered):
            image = rendered
        }
        let facts = PageFacts(
            width: image.width, height: image.height, dpi: image.dpi, renderSeconds: rendered.seconds)
        let notes = rendered.notes.map { PageNote($0) }
        switch BlankPage.verdict(image, notes: rendered.notes) {
        case .inked: break
        case .blank: return PageOutcome(page: rendered.page, result: .blank(facts), notes: notes)
        // It would be drawn alike the next time.
        case .unproven(let reason): return failure(rendered.page, reason, isPermanent: true)
        }

        let recognition: Recognition
        do throws(InferenceError) {
            recognition = try await engine.recognise(
                RGBImage(width: image.width, height: image.height, bytes: image.bytes),
                request: RecognitionRequest(
                    mode: plan.mode, prompt: plan.prompt, maxNewTokens: plan.maxNewTokens, rule: plan.rule),
                isCancelled: isCancelled)
        } catch .cancelled {
            throw CancellationError()
        } catch .deviceFailed(let reason, let isMemory) {
            // No page's fault, and the driver answers nothing any more: the pages go to others.
            await deviceFailed(.deviceFailed(reason: reason, isMemory: isMemory))
            throw CancellationError()
        } catch {
            return failure(rendered.page, error.description, isPermanent: true)
        }
        return try await checked(recognition, of: image, page: rendered.page, facts: facts, notes: notes)
    }

    /// Turns the model's text into layout, Markdown and figures.
    private func checked(
        _ recognition: Recognition, of image: PageImage, page: Int, facts: PageFacts, notes: [PageNote]
    ) async throws(LeaseProblem) -> PageOutcome {
        let layout = PageLayout(text: recognition.rawText, width: image.width, height: image.height)
        let number = String(page)
        let padded = String(repeating: "0", count: max(0, 4 - number.count)) + number
        let name: @Sendable (Int) -> String = { "p\(padded)-\($0).jpg" }
        let markdown = layout.markdown(figureName: name)
        if markdown.allSatisfy(\.isWhitespace) {
            let noted = notes.isEmpty ? "" : " Noted on it: " + notes.map(\.text).joined(separator: " ")
            return failure(
                page, "The page is not blank, yet the model wrote no text: retry it in another --mode." + noted,
                isPermanent: true)
        }
        let figures: [Figure]
        do throws(RenderError) {
            let boxes = layout.figures.map { PixelBox(x1: $0.x1, y1: $0.y1, x2: $0.x2, y2: $0.y2) }
            figures = try await renderer.encodeJPEG(image, boxes: boxes).enumerated()
                .map { Figure(name: name($0.offset), jpeg: $0.element) }
        } catch {
            guard error.fault == .content else { throw LeaseProblem(error) }
            return failure(page, "Its figures cannot be cut out: \(error.message)", isPermanent: error.isPermanent)
        }
        return PageOutcome(
            page: page,
            result: .recognised(
                RecognisedPage(
                    facts: facts, markdown: markdown, layoutJSON: layout.layoutJSON, rawText: recognition.rawText,
                    figures: figures, promptTokens: recognition.promptTokens, outputTokens: recognition.tokens.count,
                    reachedEnd: recognition.reachedEnd, encodeSeconds: recognition.encodeSeconds,
                    prefillSeconds: recognition.prefillSeconds, decodeSeconds: recognition.decodeSeconds)), notes: notes
        )
    }

    private func failure(_ page: Int, _ reason: String, isPermanent: Bool) -> PageOutcome {
        PageOutcome(page: page, result: .failed(reason: reason, isPermanent: isPermanent))
    }
}
