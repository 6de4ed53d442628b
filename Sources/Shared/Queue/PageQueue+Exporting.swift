private import Digest
private import SystemPackage

extension PageQueue {
    /// All files of a batch, in the order of their paths' bytes; for batches that memory holds.
    package func files(batch: Int64) async throws(DatabaseError) -> [ExportFile] {
        let ids = try await exportOrder(batch: batch, [Int64]()) { ids, place in ids.append(place.id) }
        var files: [ExportFile] = []
        for start in stride(from: 0, to: ids.count, by: 1000) {
            files += try await self.files(Array(ids[start..<min(start + 1000, ids.count)]))
        }
        return files
    }

    /// Visits all files of a batch, in the order of their paths' bytes, and returns what `visit` makes of them.
    ///
    /// Rows come a few thousand at a time, so memory does not grow with the batch. `visit` begins again with `initial` after
    /// a lost connection.
    package func exportOrder<State: Sendable>(
        batch: Int64, _ initial: State, _ visit: @Sendable (inout State, ExportPlace) -> Void
    ) async throws(DatabaseError) -> State {
        try await database.transaction { connection throws(DatabaseError) in
            // A cursor's plan would be one for its first rows.
            _ = try connection.query("SET LOCAL cursor_tuple_fraction = 1")
            _ = try connection.query(
                """
                DECLARE quire_export NO SCROLL CURSOR FOR
                SELECT id, kind = 'document' AND gone_at IS NULL, root, path FROM quire.batch_file
                WHERE batch_id = $1 ORDER BY root COLLATE "C", path
                """, [.int(batch)])
            var state = initial
            while true {
                let rows = try connection.query("FETCH 5000 FROM quire_export")
                for var row in rows {
                    let (id, isDocument) = (try row.int64(), try row.bool())
                    visit(&state, ExportPlace(id: id, location: try row.location(), isDocument: isDocument))
                }
                if rows.isEmpty { break }
            }
            _ = try connection.query("CLOSE quire_export")
            return state
        }
    }

    /// Files by their numbers, in that order; those that are gone from the batch are left out.
    package func files(_ ids: [Int64]) async throws(DatabaseError) -> [ExportFile] {
        let rows = try await database.query(
            """
            SELECT f.id, f.root, f.path, CASE WHEN f.gone_at IS NULL THEN f.kind::text ELSE 'gone' END, f.reason,
              d.id, d.sha256, d.format, d.page_count, r.fingerprint, s.ranges,
              CASE WHEN s.ranges IS NOT NULL THEN (
                SELECT o.fault FROM quire.batch_file o WHERE o.batch_id = f.batch_id AND o.document_id = d.id
                ORDER BY o.fault_count DESC, o.id DESC LIMIT 1) END, d.notes::text
            FROM unnest($1) WITH ORDINALITY o (id, n)
            JOIN quire.batch_file f ON f.id = o.id
            LEFT JOIN quire.document d ON d.id = f.document_id
            LEFT JOIN LATERAL (\(Self.fingerprintSQL)) r (fingerprint) ON d.id IS NOT NULL
            LEFT JOIN LATERAL (
              SELECT string_agg(j.first_page || ' ' || j.n_pages, ',' ORDER BY j.first_page) FROM quire.job j
              WHERE j.document_id = d.id AND j.batch_id = f.batch_id AND j.state = 'waiting' AND j.due = 'infinity'
            ) s (ranges) ON d.id IS NOT NULL
            ORDER BY o.n
            """, [.ints(ids)])
        var files: [ExportFile] = []
        for var row in rows {
            let id = try row.int64()
            let location = try row.location()
            let kind = try row.text()
            let reason = try row.optionalText() ?? ""
            switch kind {
            case "unreadable":
                files.append(ExportFile(id: id, location: location, content: .unreadable(reason: reason)))
            case "ignored": files.append(ExportFile(id: id, location: location, content: .ignored(reason: reason)))
            case "gone":
                let reason = "The file is no longer in its folder."
                files.append(ExportFile(id: id, location: location, content: .gone(reason: reason)))
            default:
                let document = try row.int64()
                let (sha256, format) = (try row.digest(), try row.label(DocumentFormat.self))
                let (pageCount, fingerprint) = (try row.int(), try row.text())
                let (ranges, fault) = (try row.optionalText(), try row.optionalText())
                let notes = try row.notes()
                files.append(
                    ExportFile(
                        id: id, location: location,
                        content: .document(id: document, sha256: sha256, format: format, pageCount: pageCount),
                        fingerprint: fingerprint, stranded: ranges.map { Self.stranded($0, fault) }, notes: notes))
            }
        }
        return files
    }

    /// `ranges` are first pages and numbers of pages: `1 16,40 3`.
    private static func stranded(_ ranges: String, _ fault: String?) -> ExportFile.Stranded {
        ExportFile.Stranded(
            ranges: ranges.split(separator: ",").compactMap { range in
                let numbers = range.split(separator: " ").compactMap { Int($0) }
                guard numbers.count == 2, numbers[1] > 0 else { return nil }
                return numbers[0]...(numbers[0] + numbers[1] - 1)
            }, reason: fault ?? "The file is no longer in its folder: submit the folder again.")
    }

    /// Whether the batch holds a document of that name.
    package func holdsDocument(batch: Int64, _ location: SourceLocation) async throws(DatabaseError) -> Bool {
        let rows = try await database.query(
            """
            SELECT 1 FROM quire.batch_file
            WHERE batch_id = $1 AND root = $2 AND sha256(path) = sha256($3) AND kind = 'document'
              AND gone_at IS NULL
            """, [.int(batch), .text(location.root), .bytes(location.path.bytes)])
        return !rows.isEmpty
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
                  coalesce(p.precision, w.precision, l.precision), p.program_version, p.redo_token IS NOT NULL, p.notes::text,
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
        let notes = try row.notes()
        return ExportPage(
            page: number, state: state, text: text, facts: facts, error: error, attempt: attempt, token: token,
            workerName: worker, pipeline: pipeline, finishedAt: try row.text(), programVersion: program,
            isToBeReadAgain: isToBeReadAgain, notes: notes)
    }
}
