private import FoundationEssentials
internal import Shared

/// One page of `pages.json`.
struct PageRecord {
    let number: Int
    /// Nil where the page is not settled yet.
    let page: ExportPage?
    /// Why no file leads to the page, where that is so.
    var stranded: String?
    /// Figures as written, relative to the document's folder.
    let figures: [String]
    /// The digest of the document's file.
    let sourceSHA256: String

    var json: JSONText {
        guard let page else {
            return .object([
                ("page", .int(number)), ("state", .string(stranded == nil ? "pending" : "stranded")),
                ("error", .optional(stranded)),
            ])
        }
        var members: [(String, JSONText)] = [
            ("page", .int(number)), ("state", .string(page.state.rawValue)), ("error", .optional(page.error)),
            ("image", page.facts.map(Self.image) ?? .null),
        ]
        if !page.notes.isEmpty { members.append(("notes", Self.notes(page.notes))) }
        if page.isToBeReadAgain { members.append(("retrying", .bool(true))) }
        if let text = page.text {
            members += [
                ("reachedEnd", .bool(text.reachedEnd)), ("markdown", .string(text.markdown)),
                ("layout", Self.layout(text.layoutJSON)), ("figures", .array(figures.map { .string($0) })),
            ]
        }
        members.append(("provenance", provenance(page)))
        return .object(members)
    }

    static func notes(_ notes: [PageNote]) -> JSONText {
        .array(notes.map { .object([("code", .string($0.code)), ("text", .string($0.text))]) })
    }

    private static func image(_ facts: PageFacts) -> JSONText {
        .object([
            ("width", .int(facts.width)), ("height", .int(facts.height)),
            ("dpi", facts.dpi.map { .number($0) } ?? .null),
        ])
    }

    private func provenance(_ page: ExportPage) -> JSONText {
        let pipeline = page.pipeline
        var seconds: [(String, JSONText)] = page.facts.map { [("render", .number($0.renderSeconds))] } ?? []
        var tokens: [(String, JSONText)] = []
        if let text = page.text {
            seconds += [
                ("encode", .number(text.encodeSeconds)), ("prefill", .number(text.prefillSeconds)),
                ("decode", .number(text.decodeSeconds)),
            ]
            tokens = [("prompt", .int(text.promptTokens)), ("output", .int(text.outputTokens))]
        }
        return .object([
            ("modelDigest", .string(pipeline.modelDigest)), ("mode", .string(pipeline.mode)),
            ("prompt", .string(pipeline.prompt)), ("maxNewTokens", .int(pipeline.maxNewTokens)),
            ("pdfDPI", .int(pipeline.pdfDPI)), ("engineVersion", .string(pipeline.engineVersion)),
            ("programVersion", .optional(page.programVersion)), ("precision", .string(pipeline.precision)),
            ("seconds", .object(seconds)), ("tokens", .object(tokens)), ("attempt", .int(page.attempt)),
            ("leaseToken", .int(page.token)), ("worker", .optional(page.workerName)),
            ("finishedAt", .string(page.finishedAt)), ("sourceSHA256", .string(sourceSHA256)),
        ])
    }

    private struct Block: Decodable {
        var label: String
        var boxes: [[Double]]
        var text: String
    }

    /// The blocks of the stored text, read and written again, so that whatever was stored `pages.json` stays JSON.
    private static func layout(_ text: String) -> JSONText {
        guard let blocks = try? JSONDecoder().decode([Block].self, from: Data(text.utf8)) else { return .null }
        return .array(
            blocks.map { block in
                .object([
                    ("label", .string(block.label)),
                    ("boxes", .array(block.boxes.map { .array($0.map { .number($0) }) })),
                    ("text", .string(block.text)),
                ])
            })
    }
}
