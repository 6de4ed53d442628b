/// Looks whether the job tables keep their promises: `quire doctor` asks it, and so do the tests.
///
/// Each statement looks at a part of the tables in one snapshot, so that it may run while workers work. Nothing is changed
/// or locked.
package struct QueueCheck: Sendable {
    private let database: Database

    package init(_ queue: PageQueue) { database = queue.database }

    /// Documents that one statement looks at.
    private static let chunk = 2000
    /// Seconds that a lease may outlive its worker: whoever keeps house takes it back within a few.
    private static let deadSeconds = 120.0

    /// What is wrong with one batch or with all; empty where nothing is.
    ///
    /// `progress` is called with the number of documents that were looked at. The work is by the number of documents and
    /// pages: some minutes for ten millions.
    package func faults(
        batch: Int64? = nil, progress: (Int) -> Void = { _ in }
    ) async throws(DatabaseError) -> [QueueFault] {
        var faults: [QueueFault] = []
        var looked = 0
        for (id, name) in try await batches(batch) {
            var found = DocumentFaults()
            var last = Int64.min
            while let part = try await documentFaults(of: id, after: last) {
                last = part.last
                looked += part.count
                found += part.faults
                progress(looked)
            }
            faults += try await self.faults(found, batch: id, name: name)
            faults += try await batchFaults(of: id, name: name)
        }
        return faults + (batch == nil ? try await jobFaults() : [])
    }

    /// Numbers of documents of a batch whose pages, jobs or counts are wrong, the next ones after `last`; nil at the end.
    func wrongDocuments(
        of batch: Int64, after last: Int64
    ) async throws(DatabaseError) -> (documents: [Int64], last: Int64)? {
        try await documentFaults(of: batch, after: last).map { ($0.faults.documents, $0.last) }
    }

    private func batches(_ batch: Int64?) async throws(DatabaseError) -> [(id: Int64, name: String)] {
        let rows = try await database.query(
            """
            SELECT id, name FROM quire.batch
            WHERE state NOT IN ('cancelled', 'deleting') AND ($1::bigint IS NULL OR id = $1) ORDER BY id
            """, [batch.map { .int($0) } ?? .null])
        var batches: [(id: Int64, name: String)] = []
        for var row in rows { batches.append((try row.int64(), try row.text())) }
        return batches
    }

    // MARK: Documents

    /// Faults of documents, added up.
    private struct DocumentFaults {
        var unqueued = 0
        var misplacedJobs = 0
        var beyondLastPage = 0
        var miscounted = 0
        var withoutFile = 0
        /// All that have a fault.
        var documents: [Int64] = []
        /// The first of each kind.
        var first: [QueueFault.Kind: Int64] = [:]

        mutating func note(_ kind: QueueFault.Kind, _ document: Int64) {
            if first[kind] == nil { first[kind] = document }
        }

        static func += (left: inout DocumentFaults, right: DocumentFaults) {
            left.unqueued += right.unqueued
            left.misplacedJobs += right.misplacedJobs
            left.beyondLastPage += right.beyondLastPage
            left.miscounted += right.miscounted
            left.withoutFile += right.withoutFile
            left.first.merge(right.first) { left, _ in left }
        }
    }

    /// In a batch that is not cancelled, each page is either covered by exactly one job, or has a result that stands and
    /// is counted.
    private static let documentSQL = """
        WITH held AS MATERIALIZED (
          SELECT b.document_id, b.page_count, d.page_count AS pages, b.done, b.blank, b.failed, b.quarantined, b.stranded,
            b.noted
          FROM quire.batch_document b JOIN quire.document d ON d.id = b.document_id
          WHERE b.batch_id = $1 AND b.document_id > $2 ORDER BY b.document_id LIMIT $3),
        jobs AS MATERIALIZED (
          SELECT h.document_id, h.pages, j.first_page, j.first_page + j.n_pages - 1 AS last_page, j.n_pages,
            j.state = 'waiting' AND j.due = 'infinity' AS is_stranded,
            coalesce(max(j.first_page + j.n_pages - 1) OVER (PARTITION BY h.document_id ORDER BY j.first_page, j.id
              ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) >= j.first_page AS is_overlapping
          FROM held h JOIN quire.job j ON j.document_id = h.document_id AND j.batch_id = $1),
        by_job AS (
          SELECT document_id, sum(n_pages) AS covered, coalesce(sum(n_pages) FILTER (WHERE is_stranded), 0) AS stranded,
            count(*) FILTER (WHERE is_overlapping OR last_page > pages) AS misplaced
          FROM jobs GROUP BY document_id),
        results AS (
          SELECT h.document_id, h.pages, p.page_no, p.state, p.redo_token, p.notes IS NOT NULL AS is_noted
          FROM held h JOIN quire.page p ON p.document_id = h.document_id),
        by_page AS (
          SELECT r.document_id, count(*) FILTER (WHERE r.state = 'done') AS done,
            count(*) FILTER (WHERE r.state = 'blank') AS blank, count(*) FILTER (WHERE r.state = 'failed') AS failed,
            count(*) FILTER (WHERE r.state = 'quarantined') AS quarantined, count(*) AS settled,
            count(*) FILTER (WHERE r.is_noted) AS noted
          FROM results r
          WHERE r.redo_token IS NULL AND r.page_no <= r.pages AND NOT EXISTS (
            SELECT FROM jobs j WHERE j.document_id = r.document_id AND r.page_no BETWEEN j.first_page AND j.last_page)
          GROUP BY r.document_id),
        beyond AS (
          SELECT document_id, count(*) AS n FROM results WHERE page_no > pages GROUP BY document_id),
        deltas AS (
          SELECT document_id, sum(done) AS done, sum(blank) AS blank, sum(failed) AS failed,
            sum(quarantined) AS quarantined, sum(stranded) AS stranded, sum(noted) AS noted
          FROM quire.tally_delta WHERE batch_id = $1 AND document_id > $2
            AND document_id <= (SELECT max(document_id) FROM held) GROUP BY document_id)
        SELECT h.document_id,
          greatest(0, h.pages - coalesce(j.covered, 0) - coalesce(p.settled, 0))::bigint,
          coalesce(j.misplaced, 0)::bigint, coalesce(b.n, 0)::bigint,
          h.page_count <> h.pages OR (h.done + coalesce(c.done, 0), h.blank + coalesce(c.blank, 0),
            h.failed + coalesce(c.failed, 0), h.quarantined + coalesce(c.quarantined, 0),
            h.stranded + coalesce(c.stranded, 0), h.noted + coalesce(c.noted, 0)) IS DISTINCT FROM (coalesce(p.done, 0), coalesce(p.blank, 0),
            coalesce(p.failed, 0), coalesce(p.quarantined, 0), coalesce(j.stranded, 0),
            coalesce(p.noted, 0)),
          -- By the index for each, not by a hash of all files for each part.
          (SELECT f.id FROM quire.batch_file f
            WHERE f.batch_id = $1 AND f.document_id = h.document_id AND f.gone_at IS NULL LIMIT 1) IS NULL
        FROM held h LEFT JOIN by_job j USING (document_id) LEFT JOIN by_page p USING (document_id)
        LEFT JOIN beyond b USING (document_id) LEFT JOIN deltas c USING (document_id) ORDER BY h.document_id
        """

    private func documentFaults(
        of batch: Int64, after last: Int64
    ) async throws(DatabaseError) -> (faults: DocumentFaults, count: Int, last: Int64)? {
        let rows = try await database.query(Self.documentSQL, [.int(batch), .int(last), .int(Self.chunk)])
        guard !rows.isEmpty else { return nil }
        var faults = DocumentFaults()
        var document = last
        for var row in rows {
            document = try row.int64()
            let (unqueued, misplaced, beyond) = (try row.int(), try row.int(), try row.int())
            let (isMiscounted, isWithoutFile) = (try row.bool(), try row.bool())
            guard unqueued > 0 || misplaced > 0 || beyond > 0 || isMiscounted || isWithoutFile else { continue }
            faults.documents.append(document)
            faults.unqueued += unqueued
            faults.misplacedJobs += misplaced
            faults.beyondLastPage += beyond
            if unqueued > 0 { faults.note(.unqueued, document) }
            if misplaced > 0 { faults.note(.misplacedJobs, document) }
            if beyond > 0 { faults.note(.beyondLastPage, document) }
            // What is in the wrong place is counted wrongly, too.
            if isMiscounted, misplaced == 0 {
                faults.miscounted += 1
                faults.note(.documentCounts, document)
            }
            if isWithoutFile {
                faults.withoutFile += 1
                faults.note(.withoutFile, document)
            }
        }
        return (faults, rows.count, document)
    }

    private func faults(
        _ found: DocumentFaults, batch: Int64, name: String
    ) async throws(DatabaseError) -> [QueueFault] {
        var faults: [QueueFault] = []
        let kinds: [(QueueFault.Kind, Int)] = [
            (.unqueued, found.unqueued), (.misplacedJobs, found.misplacedJobs),
            (.beyondLastPage, found.beyondLastPage), (.documentCounts, found.miscounted),
            (.withoutFile, found.withoutFile),
        ]
        for (kind, count) in kinds where count > 0 {
            var example: String?
            if let document = found.first[kind] { example = try await self.example(kind, document, batch) }
            faults.append(QueueFault(kind: kind, batch: batch, batchName: name, count: count, example: example))
        }
        return faults
    }

    /// The document's path, and the page where it is about one.
    private func example(_ kind: QueueFault.Kind, _ document: Int64, _ batch: Int64) async throws(DatabaseError)
        -> String
    {
        let rows = try await database.query(
            """
            SELECT b.source_root, b.source_path, f.root, f.path FROM quire.batch_file f
            JOIN quire.batch b ON b.id = f.batch_id
            WHERE f.batch_id = $1 AND f.document_id = $2 ORDER BY f.id LIMIT 1
            """, [.int(batch), .int(document)])
        var name = "document \(document)"
        if var row = rows.first {
            let folder = try row.location()
            name = try row.location().path(below: folder).displayText
        }
        guard kind == .unqueued else { return name }
        var pages = try await database.query(
            """
            SELECT n FROM quire.document d CROSS JOIN generate_series(1, d.page_count) n
            WHERE d.id = $2 AND NOT EXISTS (SELECT FROM quire.job j WHERE j.batch_id = $1 AND j.document_id = $2
                AND n BETWEEN j.first_page AND j.first_page + j.n_pages - 1)
              AND NOT EXISTS (SELECT FROM quire.page p
                WHERE p.document_id = $2 AND p.page_no = n AND p.redo_token IS NULL)
            ORDER BY n LIMIT 1
            """, [.int(batch), .int(document)])
        guard !pages.isEmpty else { return name }
        return "\(name):\(try pages[0].int64())"
    }

    // MARK: Batches

    /// The counts as they are and as they should be, both without what is still to be folded.
    static let tallySQL = """
        WITH fresh AS (
          SELECT coalesce(sum(documents), 0) AS documents, coalesce(sum(pages), 0) AS pages,
            coalesce(sum(unreadable), 0) AS unreadable, coalesce(sum(ignored), 0) AS ignored
          FROM quire.tally_delta WHERE batch_id = $1),
        held AS (
          SELECT count(*) AS documents, coalesce(sum(page_count), 0) AS pages, coalesce(sum(done), 0) AS done,
            coalesce(sum(blank), 0) AS blank, coalesce(sum(failed), 0) AS failed,
            coalesce(sum(quarantined), 0) AS quarantined, coalesce(sum(stranded), 0) AS stranded,
            coalesce(sum(noted), 0) AS noted,
            count(*) FILTER (WHERE done + blank = page_count) AS complete,
            count(*) FILTER (WHERE done + blank + failed + quarantined + stranded = page_count
              AND failed + quarantined + stranded > 0) AS with_failures
          FROM quire.batch_document WHERE batch_id = $1),
        files AS (
          SELECT count(*) FILTER (WHERE kind = 'unreadable') AS unreadable,
            count(*) FILTER (WHERE kind = 'ignored') AS ignored
          FROM quire.batch_file WHERE batch_id = $1 AND document_id IS NULL AND gone_at IS NULL)
        SELECT h.documents - f.documents, h.complete, h.with_failures, l.unreadable - f.unreadable,
          l.ignored - f.ignored, h.pages - f.pages, h.done, h.blank, h.failed, h.quarantined, h.stranded,
          h.noted
        FROM fresh f, held h, files l
        """

    /// Columns of `quire.tally` in the order of `tallySQL`, which says what those of the batch `$1` must be.
    static let tallyColumns = [
        "documents", "complete", "with_failures", "unreadable", "ignored", "pages", "done", "blank", "failed",
        "quarantined", "stranded", "noted",
    ]

    private func batchFaults(of batch: Int64, name: String) async throws(DatabaseError) -> [QueueFault] {
        var faults: [QueueFault] = []
        let columns = Self.tallyColumns.joined(separator: ", ")
        let rows = try await database.query(
            """
            WITH truth(\(columns)) AS (\(Self.tallySQL))
            SELECT concat_ws(', ', \(Self.tallyColumns.map {
                "CASE WHEN t.\($0) <> r.\($0) THEN '\($0) ' || t.\($0) || ' instead of ' || r.\($0) END"
            }.joined(separator: ", ")))
            FROM quire.tally t, truth r WHERE t.batch_id = $1
            """, [.int(batch)])
        if var row = rows.first {
            let differences = try row.text()
            if !differences.isEmpty {
                faults.append(
                    QueueFault(kind: .batchCounts, batch: batch, batchName: name, count: 1, example: differences))
            }
        } else {
            faults.append(
                QueueFault(
                    kind: .batchCounts, batch: batch, batchName: name, count: 1, example: "there are none"))
        }
        let stuck = try await database.query(
            "SELECT left(fold_error, 300) FROM quire.tally WHERE batch_id = $1 AND fold_error IS NOT NULL",
            [.int(batch)])
        if var row = stuck.first {
            faults.append(
                QueueFault(kind: .stuckCounts, batch: batch, batchName: name, count: 1, example: try row.text()))
        }
        let unheld = try await number(
            """
            SELECT count(*) FROM quire.job j WHERE j.batch_id = $1 AND NOT EXISTS (
              SELECT FROM quire.batch_document d WHERE d.batch_id = $1 AND d.document_id = j.document_id)
            """, [.int(batch)])
        if unheld > 0 {
            faults.append(QueueFault(kind: .unheldJobs, batch: batch, batchName: name, count: unheld, example: nil))
        }
        let hidden = try await number(
            """
            SELECT count(*) FROM quire.batch b WHERE b.id = $1 AND NOT b.has_jobs
              AND EXISTS (SELECT FROM quire.job j WHERE j.batch_id = $1)
            """, [.int(batch)])
        if hidden > 0 {
            faults.append(QueueFault(kind: .hiddenJobs, batch: batch, batchName: name, count: 1, example: nil))
        }
        return faults
    }

    // MARK: Jobs

    /// The batches that have jobs, read from one entry of the index each.
    static let batchesWithJobs = """
        WITH RECURSIVE of_job(batch_id) AS (
          (SELECT batch_id FROM quire.job ORDER BY batch_id LIMIT 1)
          UNION ALL
          SELECT (SELECT j.batch_id FROM quire.job j WHERE j.batch_id > o.batch_id ORDER BY j.batch_id LIMIT 1)
          FROM of_job o WHERE o.batch_id IS NOT NULL)
        """

    private func jobFaults() async throws(DatabaseError) -> [QueueFault] {
        var faults: [QueueFault] = []
        let orphans = try await database.query(
            """
            \(Self.batchesWithJobs)
            SELECT o.batch_id, b.name, (SELECT count(*) FROM quire.job j WHERE j.batch_id = o.batch_id)
            FROM of_job o LEFT JOIN quire.batch b ON b.id = o.batch_id
            WHERE o.batch_id IS NOT NULL AND (b.id IS NULL OR b.state IN ('cancelled', 'deleting')) ORDER BY o.batch_id
            """)
        for var row in orphans {
            let (batch, name) = (try row.int64(), try row.optionalText())
            let count = try row.int()
            // The two commit together; between them nobody can have made a job.
            if count > 0 {
                faults.append(
                    QueueFault(kind: .orphanJobs, batch: batch, batchName: name, count: count, example: nil))
            }
        }
        let dead = try await database.query(
            """
            SELECT count(*), min(w.name) FROM quire.job j LEFT JOIN quire.worker w ON w.id = j.worker_id
            WHERE j.state = 'leased' AND (w.id IS NULL OR w.ended_at < now() - $1 * interval '1 s')
            """, [.double(Self.deadSeconds)])
        if var row = dead.first {
            let count = try row.int()
            if count > 0 {
                let example = try row.optionalText().map { "the worker \($0)" }
                faults.append(QueueFault(kind: .deadLeases, count: count, example: example))
            }
        }
        return faults
    }

    private func number(_ sql: String, _ parameters: [SQLValue]) async throws(DatabaseError) -> Int {
        var rows = try await database.query(sql, parameters)
        guard !rows.isEmpty else { throw .unexpectedAnswer(reason: "a count is missing.") }
        return try rows[0].int()
    }
}
