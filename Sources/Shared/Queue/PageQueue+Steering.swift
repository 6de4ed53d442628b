package import SystemPackage

extension PageQueue {
    /// Opens, pauses or cancels a batch.
    ///
    /// Pausing stops claims and lets leases run. Cancelling deletes all jobs: results of its leases are refused. A cancelled
    /// batch that is opened or paused again gets jobs for all pages without a result.
    package func setState(_ state: BatchState, batch: Int64) async throws(DatabaseError) {
        try await database.transaction { connection throws(DatabaseError) in
            let before = try Self.lockBatch(batch, connection)
            guard before != state else { return }
            try connection.query(
                "UPDATE quire.batch SET state = $2::text::quire.batch_state WHERE id = $1",
                [.int(batch), .text(state.rawValue)])
            if state == .cancelled {
                try JobSQL.deleteAll(connection, where: "batch_id = $1", [.int(batch)])
            } else if before == .cancelled {
                try Self.requeueAll(batch: batch, connection)
            }
        }
    }

    /// Changes a batch's priority, and its weight where one is given; returns the weight that it has.
    package func setPriority(_ priority: Int, weight: Double?, batch: Int64) async throws(DatabaseError) -> Double {
        let rows = try await database.query(
            """
            UPDATE quire.batch SET priority = $2, weight = coalesce($3::float8, weight) WHERE id = $1 RETURNING weight
            """, [.int(batch), .int(priority), weight.map { .double($0) } ?? .null])
        guard var row = rows.first else { throw .notFound(reason: "There is no batch number \(batch).") }
        return try row.double()
    }

    /// Recognises pages again: their results go to the history, and they are queued; returns how many.
    ///
    /// Results are shared, so other batches that hold the document get the pages to do again as well. Pages that wait for
    /// another attempt become ready at once; other pages that have no result yet are left as they are.
    package func retry(
        _ selection: RetrySelection, batch: Int64, override: PipelineOverride?
    ) async throws(DatabaseError) -> Int {
        try await database.transaction { connection throws(DatabaseError) in
            guard try Self.lockBatch(batch, connection) != .cancelled else {
                throw .refused(reason: "The batch is cancelled. Open it again with `quire resume` first.")
            }
            let documents = try Self.documents(of: selection, batch: batch, connection)
            guard !documents.isEmpty else { return 0 }
            let parameters: [SQLValue] = [.ints(documents)]
            // Submissions that find these pages recorded wait, as do workers that settle them.
            try connection.query(
                "SELECT FROM quire.document WHERE id = ANY ($1::bigint[]) ORDER BY id FOR NO KEY UPDATE", parameters)
            try connection.query(
                """
                SELECT FROM quire.batch WHERE id IN (
                  SELECT batch_id FROM quire.batch_document WHERE document_id = ANY ($1::bigint[]))
                ORDER BY id FOR NO KEY UPDATE
                """, parameters)
            try JobSQL.lockAll(connection, where: "document_id = ANY ($1::bigint[])", parameters)
            return try Self.freeStranded(documents: documents, batch: batch, connection)
                + Self.requeue(selection, documents: documents, batch: batch, override: override, connection)
        }
    }

    /// Documents that `path` can mean: a path below the batch's folder or the root, else the end of one.
    package func documents(matching path: FilePath, batch: Int64) async throws(DatabaseError) -> [DocumentMatch] {
        var wanted = path
        wanted.root = nil
        wanted.lexicallyNormalize()
        let bytes = wanted.bytes
        let rows = try await database.query(
            """
            WITH found AS (
              SELECT f.id, f.document_id, f.root, f.path, f.path IN ($2, CASE WHEN b.source_path IN ('', '.') THEN $2
                ELSE b.source_path || '/'::bytea || $2 END) AS is_exact
              FROM quire.batch_file f JOIN quire.batch b ON b.id = f.batch_id
              WHERE f.batch_id = $1 AND f.kind = 'document' AND (f.path = $2
                OR substring(f.path FROM greatest(octet_length(f.path) - octet_length($2), 1)) = '/'::bytea || $2))
            SELECT DISTINCT ON (f.document_id) f.document_id, f.root, f.path, d.page_count
            FROM found f JOIN quire.document d ON d.id = f.document_id
            WHERE f.is_exact OR NOT EXISTS (SELECT FROM found WHERE is_exact)
            ORDER BY f.document_id, f.id
            """, [.int(batch), .bytes(bytes)])
        var matches: [DocumentMatch] = []
        for var row in rows {
            let id = try row.int64()
            matches.append(DocumentMatch(id: id, location: try row.location(), pageCount: try row.int()))
        }
        return matches
    }

    private static func lockBatch(_ batch: Int64, _ connection: Connection) throws(DatabaseError) -> BatchState {
        let rows = try connection.query(
            "SELECT state FROM quire.batch WHERE id = $1 FOR NO KEY UPDATE", [.int(batch)])
        guard var row = rows.first else { throw .notFound(reason: "There is no batch number \(batch).") }
        return try row.label()
    }

    /// Makes jobs for whatever has no result; corrects the counts by what other batches did meanwhile.
    private static func requeueAll(batch: Int64, _ connection: Connection) throws(DatabaseError) {
        let rows = try connection.query(
            """
            SELECT d.id FROM quire.batch_document b JOIN quire.document d ON d.id = b.document_id
            WHERE b.batch_id = $1 ORDER BY d.id FOR SHARE OF d
            """, [.int(batch)])
        var documents: [Int64] = []
        for var row in rows { documents.append(try row.int64()) }
        try TallyFold.lock(connection)
        try TallyFold.fold(batch, connection)
        _ = try JobSQL.queueMissing(
            connection, batch: batch, documents: documents, makingJobs: true,
            tally: """
                SELECT $1, r.document_id, 0, 0, r.done - b.done, r.blank - b.blank, r.failed - b.failed,
                  r.quarantined - b.quarantined
                FROM recorded r JOIN quire.batch_document b ON b.batch_id = $1 AND b.document_id = r.document_id
                """)
    }

    private static func documents(
        of selection: RetrySelection, batch: Int64, _ connection: Connection
    ) throws(DatabaseError) -> [Int64] {
        switch selection {
        case .failed:
            let rows = try connection.query(
                """
                SELECT document_id FROM quire.batch_document b WHERE batch_id = $1 AND (
                  EXISTS (SELECT FROM quire.page p WHERE p.document_id = b.document_id
                    AND p.state IN ('failed', 'quarantined'))
                  OR EXISTS (SELECT FROM quire.job j WHERE j.batch_id = $1 AND j.document_id = b.document_id
                    AND j.state = 'waiting'))
                """, [.int(batch)])
            var documents: [Int64] = []
            for var row in rows { documents.append(try row.int64()) }
            return documents
        case .document(let id, _), .page(let id, _):
            let rows = try connection.query(
                "SELECT page_count FROM quire.batch_document WHERE batch_id = $1 AND document_id = $2",
                [.int(batch), .int(id)])
            guard var row = rows.first else {
                throw .notFound(reason: "The batch has no document number \(id).")
            }
            let pageCount = try row.int()
            if case .page(_, let page) = selection, !(1...pageCount).contains(page) {
                throw .notFound(reason: "There is no page \(page): the document has \(pageCount).")
            }
            return [id]
        }
    }

    /// Columns of `quire.page` that `quire.page_history` has too.
    private static let historyColumns = """
        document_id, page_no, state, attempt, token, worker_id, finished_at, width, height, dpi, render_seconds,
          encode_seconds, prefill_seconds, decode_seconds, prompt_tokens, output_tokens, reached_end, mode, prompt,
          engine_version, markdown, layout, raw_text, error, program_version, precision
        """

    /// Takes the faults off all files of the documents, so that pages to which none led are tried again; returns how many
    /// pages of the batch that are.
    private static func freeStranded(
        documents: [Int64], batch: Int64, _ connection: Connection
    ) throws(DatabaseError) -> Int {
        try connection.query(
            """
            UPDATE quire.batch_file f SET fault = NULL, fault_at = NULL, fault_count = 0
            FROM quire.batch_document d
            WHERE d.document_id = ANY ($1::bigint[]) AND f.batch_id = d.batch_id AND f.document_id = d.document_id
              AND f.fault_count > 0
            """, [.ints(documents)])
        let rows = try connection.query(
            """
            SELECT coalesce(sum(n_pages), 0)::bigint FROM quire.job
            WHERE batch_id = $1 AND document_id = ANY ($2::bigint[]) AND state = 'waiting' AND due = 'infinity'
            """, [.int(batch), .ints(documents)])
        guard var row = rows.first else { throw .unexpectedAnswer(reason: "no count of stranded pages.") }
        let freed = try row.int()
        try connection.query("SELECT quire.free_stranded($1)", [.ints(documents)])
        return freed
    }

    /// The caller has locked the documents, their batches and all their jobs.
    private static func requeue(
        _ selection: RetrySelection, documents: [Int64], batch: Int64, override: PipelineOverride?,
        _ connection: Connection
    ) throws(DatabaseError) -> Int {
        var condition = "p.state IN ('failed', 'quarantined')"
        var page: Int?
        switch selection {
        case .failed, .document(_, includingDone: false): break
        case .document(_, includingDone: true): condition = "true"
        case .page(_, let number): (condition, page) = ("p.page_no = $5", number)
        }
        let rows = try connection.query(
            """
            WITH gone AS (
              DELETE FROM quire.page p WHERE p.document_id = ANY ($2::bigint[]) AND \(condition)
                AND ($5::bigint IS NULL OR p.page_no = $5) RETURNING *),
            kept AS (
              INSERT INTO quire.page_history (\(historyColumns))
              SELECT \(historyColumns) FROM gone),
            -- In a batch, a page with a result is tallied unless a job still covers it.
            again AS (
              SELECT b.batch_id, g.document_id, g.page_no, g.state
              FROM gone g JOIN quire.batch_document b ON b.document_id = g.document_id
              JOIN quire.batch t ON t.id = b.batch_id AND t.state <> 'cancelled'
              WHERE NOT EXISTS (
                SELECT FROM quire.job j WHERE j.document_id = g.document_id AND j.batch_id = b.batch_id
                  AND g.page_no BETWEEN j.first_page AND j.first_page + j.n_pages - 1)),
            tallied AS (
              INSERT INTO quire.tally_delta (batch_id, document_id, done, blank, failed, quarantined)
              SELECT batch_id, document_id, -count(*) FILTER (WHERE state = 'done'),
                -count(*) FILTER (WHERE state = 'blank'), -count(*) FILTER (WHERE state = 'failed'),
                -count(*) FILTER (WHERE state = 'quarantined')
              FROM again GROUP BY batch_id, document_id),
            islands AS (
              SELECT *, page_no - row_number() OVER (PARTITION BY batch_id, document_id ORDER BY page_no) AS island
              FROM again),
            numbered AS (
              SELECT *, (row_number() OVER (PARTITION BY batch_id, document_id, island ORDER BY page_no) - 1)
                / \(pagesPerJob) AS part FROM islands),
            made AS (
              INSERT INTO quire.job (batch_id, document_id, first_page, n_pages, override_mode, override_prompt)
              SELECT batch_id, document_id, min(page_no), count(*), nullif($3, ''), nullif($4, '') FROM numbered
              GROUP BY batch_id, document_id, island, part ORDER BY batch_id, document_id, min(page_no)),
            hurried AS (
              UPDATE quire.job SET state = 'ready', due = NULL, id = nextval('quire.job_id'),
                override_mode = coalesce(nullif($3, ''), override_mode), override_prompt = coalesce(nullif($4, ''), override_prompt)
              WHERE batch_id = $1 AND state = 'waiting' AND document_id = ANY ($2::bigint[])
                AND ($5 IS NULL OR (first_page = $5 AND n_pages = 1)) RETURNING n_pages),
            opened AS (
              UPDATE quire.batch SET has_jobs = true
              WHERE NOT has_jobs AND id IN (SELECT batch_id FROM again))
            SELECT (SELECT count(*) FROM again WHERE batch_id = $1)
              + (SELECT coalesce(sum(n_pages), 0)::bigint FROM hurried)
            """,
            [
                .int(batch), .ints(documents), .text(override?.mode ?? ""), .text(override?.prompt ?? ""),
                page.map { .int($0) } ?? .null,
            ])
        guard var row = rows.first else { throw .unexpectedAnswer(reason: "no count of queued pages.") }
        return try row.int()
    }
}
