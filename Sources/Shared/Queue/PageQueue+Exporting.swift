private import Digest
private import SystemPackage

extension PageQueue {
    /// All files of a batch, in the order of their paths' bytes.
    package func files(batch: Int64) async throws(DatabaseError) -> [ExportFile] {
        try await database.run { connection throws(DatabaseError) in
            let rows = try connection.query(
                """
                SELECT f.root, f.path, f.kind, f.reason, d.id, d.sha256, d.format, d.page_count
                FROM quire.batch_file f LEFT JOIN quire.document d ON d.id = f.document_id
                WHERE f.batch_id = $1 ORDER BY f.root COLLATE "C", f.path
                """, [.int(batch)])
            var files: [ExportFile] = []
            for var row in rows {
                let location = try row.location()
                let kind = try row.text()
                let reason = try row.optionalText() ?? ""
                switch kind {
                case "unreadable": files.append(ExportFile(location: location, content: .unreadable(reason: reason)))
                case "ignored": files.append(ExportFile(location: location, content: .ignored(reason: reason)))
                default:
                    let id = try row.int64()
                    let (sha256, format) = (try row.digest(), try row.label(DocumentFormat.self))
                    files.append(
                        ExportFile(
                            location: location,
                            content: .document(id: id, sha256: sha256, format: format, pageCount: try row.int())))
                }
            }
            return files
        }
    }

    /// The settled ones of a document's pages `first`, `first` + 1, ..., at most `limit`, with their figures.
    package func pages(
        document: Int64, from first: Int, limit: Int
    ) async throws(DatabaseError) -> [ExportPage] {
        try await database.run { connection throws(DatabaseError) in
            let rows = try connection.query(
                """
                SELECT p.page_no, p.state, p.width, p.height, p.dpi, p.render_seconds, p.markdown, p.layout, p.raw_text,
                  p.prompt_tokens, p.output_tokens, p.reached_end, p.encode_seconds, p.prefill_seconds,
                  p.decode_seconds, p.error, p.attempt, p.token, w.name, l.model_digest, coalesce(p.mode, l.mode),
                  coalesce(p.prompt, l.prompt), l.max_new_tokens, l.pdf_dpi, p.engine_version,
                  coalesce(p.precision, w.precision, l.precision), p.program_version, p.redo_token IS NOT NULL,
                  to_char(p.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
                FROM quire.page p
                JOIN quire.document d ON d.id = p.document_id
                JOIN quire.pipeline l ON l.id = d.pipeline_id
                LEFT JOIN quire.worker w ON w.id = p.worker_id
                WHERE p.document_id = $1 AND p.page_no >= $2 ORDER BY p.page_no LIMIT $3
                """, [.int(document), .int(first), .int(limit)])
            var pages: [ExportPage] = []
            for row in rows { pages.append(try Self.page(row)) }
            guard let last = pages.last?.page else { return pages }

            let figureRows = try connection.query(
                """
                SELECT page_no, token, name, jpeg FROM quire.page_figure
                WHERE document_id = $1 AND page_no BETWEEN $2 AND $3 ORDER BY page_no, name COLLATE "C"
                """, [.int(document), .int(first), .int(last)])
            var figures: [Int: [(token: Int64, figure: Figure)]] = [:]
            for var row in figureRows {
                let (page, token) = (try row.int(), try row.int64())
                figures[page, default: []].append((token, Figure(name: try row.text(), jpeg: try row.bytes())))
            }
            for index in pages.indices {
                let (number, token) = (pages[index].page, pages[index].token)
                let current = (figures[number] ?? []).filter { $0.token == token }
                pages[index].text?.figures = current.map(\.figure)
            }
            return pages
        }
    }

    private static func page(_ row: Row) throws(DatabaseError) -> ExportPage {
        var row = row
        let (number, state) = (try row.int(), try row.label(PageState.self))
        let (width, height) = (try row.optionalInt64(), try row.optionalInt64())
        let (dpi, renderSeconds) = (try row.optionalDouble(), try row.optionalDouble())
        let (markdown, layout, raw) = (try row.optionalText(), try row.optionalText(), try row.optionalText())
        let (promptTokens, outputTokens) = (try row.optionalInt64(), try row.optionalInt64())
        let reachedEnd = try row.optionalBool()
        let (encode, prefill, decode) = (try row.optionalDouble(), try row.optionalDouble(), try row.optionalDouble())
        var facts: PageFacts?
        if let width, let height {
            facts = PageFacts(width: Int(width), height: Int(height), dpi: dpi, renderSeconds: renderSeconds ?? 0)
        }
        var text: RecognisedPage?
        if state == .done, let facts, let markdown, let layout, let raw {
            text = RecognisedPage(
                facts: facts, markdown: markdown, layoutJSON: layout, rawText: raw, figures: [],
                promptTokens: Int(promptTokens ?? 0), outputTokens: Int(outputTokens ?? 0),
                reachedEnd: reachedEnd ?? true, encodeSeconds: encode ?? 0, prefillSeconds: prefill ?? 0,
                decodeSeconds: decode ?? 0)
        }
        let error = try row.optionalText()
        let (attempt, token, worker) = (try row.int(), try row.int64(), try row.optionalText())
        let pipeline = try row.pipeline()
        let (program, isToBeReadAgain) = (try row.optionalText(), try row.bool())
        return ExportPage(
            page: number, state: state, text: text, facts: facts, error: error, attempt: attempt, token: token,
            workerName: worker, pipeline: pipeline, finishedAt: try row.text(), programVersion: program,
            isToBeReadAgain: isToBeReadAgain)
    }
}
