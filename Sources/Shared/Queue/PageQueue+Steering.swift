package import SystemPackage

extension PageQueue {
    /// Opens, pauses or cancels a batch.
    ///
    /// Pausing stops claims and lets leases run. Cancelling deletes all jobs: results of its leases are refused. A cancelled
    /// batch that is opened or paused again gets jobs for all pages without a result.
    package func setState(_ state: BatchState, batch: Int64) async throws(DatabaseError) {
        guard state != .deleting else { return try await beginDeleting(batch) }
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
        try await database.transaction { connection throws(DatabaseError) in
            _ = try Self.lockBatch(batch, connection)
            let rows = try connection.query(
                """
                UPDATE quire.batch SET priority = $2, weight = coalesce($3::float8, weight) WHERE id = $1
                RETURNING weight
                """, [.int(batch), .int(priority), weight.map { .double($0) } ?? .null])
            guard var row = rows.first else { throw .notFound(reason: "There is no batch number \(batch).") }
            return try row.double()
        }
    }

    /// Queues pages to be recognised again; returns how many of the batch.
    ///
    /// What they have stays, and is shown and exported, until its successor is there: text by this order's mode and
    /// prompt, from a lease that began after it. Where the new attempt fails, good text stays. Results are shared, so other
    /// batches that hold the document get the pages to do again as well. Pages that wait for another attempt, or to which
    /// no file led, become ready at once; other pages that have no result yet are left as they are.
    package func retry(
        _ selection: RetrySelection, batch: Int64, override: PipelineOverride?
    ) async throws(DatabaseError) -> Int {
        try await database.transaction { connection throws(DatabaseError) in
            guard try Self.lockBatch(batch, connection) != .cancelled else {
                throw .refused(reason: "The batch is cancelled. Open it again with `quire resume` first.")
            }
            let documents = try Self.documents(of: selection, batch: batch, connection)
            guard !documents.isEmpty else { return 0 }
            try JobSQL.lockDocuments(documents, connection)
            return try Self.requeue(selection, documents: documents, batch: batch, override: override, connection)
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
              WHERE f.batch_id = $1 AND f.kind = 'document' AND f.gone_at IS NULL AND (f.path = $2
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

    /// Locks the batch for an order about it; one that is being deleted takes none but its deletion.
    static func lockBatch(
        _ batch: Int64, isDeleting: Bool = false, _ connection: Connection
    ) throws(DatabaseError) -> BatchState {
        let rows = try connection.query(
            "SELECT name, state FROM quire.batch WHERE id = $1 FOR NO KEY UPDATE", [.int(batch)])
        guard var row = rows.first else { throw .notFound(reason: "There is no batch number \(batch).") }
        let (name, state) = (try row.text(), try row.label(BatchState.self))
        if state == .deleting, !isDeleting { throw .isBeingDeleted(name) }
        return state
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
                  r.quarantined - b.quarantined, r.noted - b.noted
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

    /// The caller has locked the documents, their batches and all their jobs.
    private static func requeue(
        _ selection: RetrySelection, documents: [Int64], batch: Int64, override: PipelineOverride?,
        _ connection: Connection
    ) throws(DatabaseError) -> Int {
        // What is to be read again already is left as it was asked, unless it is to be read otherwise now.
        let otherwise =
            override == nil
            ? "false" : "(p.redo_mode, p.redo_prompt) IS DISTINCT FROM (nullif($3, ''), nullif($4, ''))"
        var condition = """
            (p.state IN ('failed', 'quarantined') OR p.redo_token IS NOT NULL AND EXISTS (
              SELECT FROM quire.job w WHERE w.batch_id = $1 AND w.document_id = p.document_id AND w.state = 'waiting'
                AND p.page_no BETWEEN w.first_page AND w.first_page + w.n_pages - 1))
            """
        var page: Int?
        switch selection {
        case .failed, .document(_, includingDone: false): break
        case .document(_, includingDone: true): condition = "true"
        case .page(_, let number): (condition, page) = ("true", number)
        }
        let rows = try connection.query(
            """
            WITH marked AS MATERIALIZED (
              SELECT p.document_id, p.page_no, p.state, p.redo_token, p.notes IS NOT NULL AS is_noted FROM quire.page p
              WHERE p.document_id = ANY ($2::bigint[]) AND ($5::bigint IS NULL OR p.page_no = $5)
                AND (p.redo_token IS NULL OR \(otherwise)) AND \(condition)),
            -- Only leases that are made from here on have greater tokens.
            fresh AS (
              UPDATE quire.page p SET redo_token = nextval('quire.lease_token'), redo_mode = nullif($3, ''),
                redo_prompt = nullif($4, '')
              FROM marked m WHERE p.document_id = m.document_id AND p.page_no = m.page_no),
            -- In a batch, a page with a result that stands is tallied unless a job still covers it.
            missing AS (
              SELECT b.batch_id, m.document_id, m.document_id AS place, m.page_no, m.state, m.redo_token,
                m.is_noted, nullif($3, '') AS mode, nullif($4, '') AS prompt
              FROM marked m JOIN quire.batch_document b ON b.document_id = m.document_id
              JOIN quire.batch t ON t.id = b.batch_id AND t.state NOT IN ('cancelled', 'deleting')
              WHERE NOT EXISTS (
                SELECT FROM quire.job j WHERE j.document_id = m.document_id AND j.batch_id = b.batch_id
                  AND m.page_no BETWEEN j.first_page AND j.first_page + j.n_pages - 1)),
            tallied AS (
              INSERT INTO quire.tally_delta (batch_id, document_id, done, blank, failed, quarantined, noted)
              SELECT batch_id, document_id, -count(*) FILTER (WHERE state = 'done'),
                -count(*) FILTER (WHERE state = 'blank'), -count(*) FILTER (WHERE state = 'failed'),
                -count(*) FILTER (WHERE state = 'quarantined'), -count(*) FILTER (WHERE is_noted)
              FROM missing WHERE redo_token IS NULL GROUP BY batch_id, document_id),
            \(JobSQL.jobsOfMissing),
            -- Jobs that wait, with what they wait for: another attempt, or a file.
            hurried AS (
              UPDATE quire.job j SET state = 'ready', due = NULL, id = nextval('quire.job_id'),
                override_mode = coalesce(nullif($3, ''), override_mode),
                override_prompt = coalesce(nullif($4, ''), override_prompt)
              FROM (
                SELECT w.batch_id, w.id, w.due = 'infinity' AS is_stranded FROM quire.job w
                WHERE w.batch_id = $1 AND w.state = 'waiting' AND w.document_id = ANY ($2::bigint[])
                  AND ($5 IS NULL OR $5 BETWEEN w.first_page AND w.first_page + w.n_pages - 1)) w
              WHERE j.batch_id = w.batch_id AND j.id = w.id
              RETURNING j.document_id, j.first_page, j.n_pages, w.is_stranded),
            -- Of the pages that wait, those that are marked count once.
            waiting AS (
              SELECT h.document_id, n AS page_no
              FROM hurried h CROSS JOIN generate_series(h.first_page, h.first_page + h.n_pages - 1) n
              UNION
              SELECT document_id, page_no FROM marked),
            unstranded AS (
              INSERT INTO quire.tally_delta (batch_id, document_id, stranded)
              SELECT $1, document_id, -sum(n_pages) FROM hurried WHERE is_stranded GROUP BY document_id),
            forgiven AS (
              UPDATE quire.batch_file f SET fault = NULL, fault_at = NULL, fault_count = 0
              FROM quire.batch_document d
              WHERE d.document_id = ANY ($2::bigint[]) AND f.batch_id = d.batch_id AND f.document_id = d.document_id
                AND f.fault_count <> 0 AND f.gone_at IS NULL)
            SELECT (SELECT count(*) FROM waiting),
              (SELECT array_to_string(array_agg(DISTINCT batch_id), ',') FROM made)
            """,
            [
                .int(batch), .ints(documents), .text(override?.mode ?? ""), .text(override?.prompt ?? ""),
                page.map { .int($0) } ?? .null,
            ])
        guard var row = rows.first else { throw .unexpectedAnswer(reason: "no count of queued pages.") }
        let count = try row.int()
        let batches = (try row.optionalText() ?? "").split(separator: ",").compactMap { Int64($0) }
        if !batches.isEmpty { try JobSQL.markHavingJobs(batches, connection) }
        // In other batches too: the files may be read again.
        try JobSQL.freeStranded(documents, connection)
        try Self.align(documents, connection)
        return count
    }

    /// Makes jobs that wait to be claimed, and that are of one page each or whose pages are all to be read again alike,
    /// read them as was asked: by another mode or prompt their results would be dropped, and the pages queued anew.
    private static func align(_ documents: [Int64], _ connection: Connection) throws(DatabaseError) {
        try connection.query(
            """
            UPDATE quire.job j SET override_mode = r.mode, override_prompt = r.prompt
            FROM (
              SELECT w.batch_id, w.id, min(p.redo_mode) AS mode, min(p.redo_prompt) AS prompt
              FROM quire.job w JOIN quire.page p ON p.document_id = w.document_id
                AND p.page_no BETWEEN w.first_page AND w.first_page + w.n_pages - 1 AND p.redo_token IS NOT NULL
              WHERE w.document_id = ANY ($1::bigint[]) AND w.state <> 'leased'
              GROUP BY w.batch_id, w.id
              HAVING count(*) = min(w.n_pages) AND count(DISTINCT (p.redo_mode, p.redo_prompt)) = 1) r
            WHERE j.batch_id = r.batch_id AND j.id = r.id
              AND (j.override_mode, j.override_prompt) IS DISTINCT FROM (r.mode, r.prompt)
            """, [.ints(documents)])
    }
}
