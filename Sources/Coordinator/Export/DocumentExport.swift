internal import Digest
internal import Shared
internal import SystemPackage

/// Writes one document into a folder, page by page, in memory for a few dozen pages.
struct DocumentExport {
    let queue: PageQueue
    let location: SourceLocation
    let documentID: Int64
    let sha256: SHA256Digest
    let format: DocumentFormat
    let pageCount: Int
    let formats: Set<ExportFormat>
    /// Whether the model's Markdown is written as it is.
    let isRaw: Bool
    /// Changes with whatever a page's text may depend on (`ExportFile.fingerprint`).
    let results: String
    /// Pages that cannot be read, and why.
    let stranded: ExportFile.Stranded?
    /// Of the document as a whole.
    let notes: [PageNote]

    /// Pages that are fetched at a time.
    private static let stride = 64

    /// Equal for two exports that would write the same.
    var fingerprint: String {
        let names = (formats.map(\.rawValue).sorted() + (isRaw ? ["raw"] : [])).joined(separator: ",")
        var parts = ["quire-export-2", names, sha256.hex, format.rawValue, String(pageCount), results]
        if let stranded { parts += stranded.ranges.map { "\($0)" } + [stranded.reason] }
        if !notes.isEmpty { parts += ["notes"] + notes.flatMap { [$0.code, $0.text] } }
        return SHA256.hash(Array(parts.joined(separator: "\n").utf8)).hex
    }

    /// Fills an empty folder; returns what its manifest has to say.
    func write(into folder: FilePath) async throws -> DocumentManifest {
        var manifest = DocumentManifest(
            location: location, sha256: sha256.hex, format: format, fingerprint: fingerprint)
        if !notes.isEmpty { manifest.notes = notes }
        let markdown = formats.contains(.markdown) ? try OutputFile(folder.appending("document.md")) : nil
        let records = formats.contains(.json) ? try OutputFile(folder.appending("pages.json")) : nil
        try records?.write(head)
        var figures = FigureFolder(folder.appending(FigureFolder.name))

        func emit(_ number: Int, _ page: ExportPage?) throws(ExportError) {
            let links = try figures.write(page?.text?.figures ?? [], page: number)
            let stranded = page == nil ? stranded?.reason(of: number) : nil
            try markdown?.write(MarkdownPage.text(number, page, stranded: stranded, isRaw: isRaw))
            let record = PageRecord(
                number: number, page: page, stranded: stranded, figures: links, sourceSHA256: sha256.hex)
            try records?.write((number > 1 ? Array(",\n".utf8) : []) + record.json.bytes)
            manifest.pages.count(page, isStranded: stranded != nil)
            manifest.note(page?.notes ?? [], page: number)
            if let stranded {
                manifest.problems.append(DocumentManifest.Problem(page: number, state: "stranded", reason: stranded))
            }
            if let page, page.state == .failed || page.state == .quarantined {
                manifest.problems.append(
                    DocumentManifest.Problem(page: number, state: page.state.rawValue, reason: page.error ?? ""))
            }
        }
        var next = 1
        while next <= pageCount {
            try Task.checkCancellation()
            let settled = try await queue.pages(document: documentID, from: next, limit: Self.stride)
            for page in settled where page.page >= next && page.page <= pageCount {
                while next < page.page {
                    try emit(next, nil)
                    next += 1
                }
                try emit(next, page)
                next += 1
            }
            guard settled.count == Self.stride else { break }
        }
        while next <= pageCount {
            try emit(next, nil)
            next += 1
        }

        try records?.write("\n]}\n")
        for (name, file) in [("document.md", markdown), ("pages.json", records)] {
            guard let (size, digest) = try file?.finish() else { continue }
            manifest.files.append(DocumentManifest.File(path: name, size: size, sha256: digest))
        }
        manifest.files += figures.files
        return manifest
    }

    private var head: [UInt8] {
        let document = JSONText.object(
            [("root", .string(location.root))] + location.path.jsonMembers("path") + [
                ("sha256", .string(sha256.hex)), ("format", .string(format.rawValue)), ("pageCount", .int(pageCount)),
            ])
        return Array("{\"schema\": \"quire-pages-1\",\n\"document\": ".utf8) + document.bytes
            + Array(",\n\"pages\": [\n".utf8)
    }
}
