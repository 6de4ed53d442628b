private import SystemPackage

extension PageQueue {
    /// The progress of one batch, or of all, oldest first; exact as of now.
    package func status(batch: Int64?) async throws(DatabaseError) -> [BatchStatus] {
        let rows = try await database.query(
            """
            SELECT b.id, b.name, b.state, b.priority, p.model_digest, p.mode, p.prompt, p.max_new_tokens, p.pdf_dpi,
              p.engine_version, p.precision, t.documents, t.complete, t.with_failures, t.unreadable, t.ignored, t.pages, t.done,
              t.blank, t.failed, t.quarantined, t.stranded, t.leased, t.per_minute, t.is_current, t.fold_error, t.noted,
              t.deltas
            FROM quire.progress($1) t
            JOIN quire.batch b ON b.id = t.batch_id
            JOIN quire.pipeline p ON p.id = b.pipeline_id
            ORDER BY b.id
            """, [batch.map { .int($0) } ?? .null])
        var statuses: [BatchStatus] = []
        var deltas = 0
        for var row in rows {
            statuses.append(try Self.status(&row))
            deltas += try row.int()
        }
        // Where nobody keeps house, as before the first worker starts, the next call would read them all again. Readers
        // may not fold, and need not.
        if deltas > Self.foldingThreshold {
            _ = try? await database.query("SELECT quire.try_fold($1)", [.int(AdvisoryLock.housekeeping)])
        }
        return statuses
    }

    /// How many unfolded changes status reads without doing something about them: many seconds of work.
    private static let foldingThreshold = 5000

    /// All workers that have not ended.
    package func workers() async throws(DatabaseError) -> [WorkerStatus] {
        let rows = try await database.query(
            """
            SELECT w.id, w.name, w.host, w.pid, w.device, w.version, w.model_digest,
              extract(epoch FROM now() - w.seen_at)::float8,
              (SELECT coalesce(sum(n_pages), 0)::bigint FROM quire.job j WHERE j.worker_id = w.id AND j.state = 'leased'),
              w.should_drain, coalesce(w.engine_version, w.version), coalesce(w.precision, 'bf16'), w.unwell,
              \(Self.utc("w.unwell_since")), array_to_string(w.roots, E'\\x1F')
            FROM quire.worker w WHERE w.ended_at IS NULL ORDER BY w.id
            """)
        var workers: [WorkerStatus] = []
        for var row in rows {
            let (id, name, host) = (try row.int64(), try row.text(), try row.text())
            let pid = Int32(truncatingIfNeeded: try row.int64())
            let (device, version, digest) = (try row.text(), try row.text(), try row.text())
            let (seconds, leasedPages) = (try row.double(), try row.int())
            let isDraining = try row.bool()
            let (engine, precision) = (try row.text(), try row.text())
            let (unwell, unwellSince) = (try row.optionalText(), try row.optionalText())
            workers.append(
                WorkerStatus(
                    id: id, name: name, host: host, pid: pid, device: device, version: version, modelDigest: digest,
                    secondsSinceSeen: seconds, leasedPages: leasedPages, isDraining: isDraining,
                    roots: Self.roots(try row.optionalText()), engineVersion: engine, precision: precision,
                    unwell: unwell, unwellSince: unwellSince))
        }
        return workers
    }

    /// What open batches with work left wait for.
    package func waits(batch: Int64?) async throws(DatabaseError) -> [BatchWait] {
        let rows = try await database.query(
            """
            SELECT w.batch_id, w.root, w.has_ready, \(Self.utc("w.due")), extract(epoch FROM w.due - now())::float8,
              b.source_root, b.source_path, f.fault, coalesce(f.root, b.source_root), coalesce(f.path, b.source_path)
            FROM quire.batch_waits($1) w JOIN quire.batch b ON b.id = w.batch_id
            LEFT JOIN LATERAL (
              SELECT f.fault, f.root, f.path FROM (
                SELECT j.batch_id, j.document_id FROM quire.job j
                WHERE j.state = 'waiting' AND j.due < 'infinity' AND j.batch_id = w.batch_id ORDER BY j.due LIMIT 1) j
              JOIN quire.batch_file f ON f.batch_id = j.batch_id AND f.document_id = j.document_id
              WHERE f.fault IS NOT NULL AND f.gone_at IS NULL LIMIT 1) f ON NOT w.has_ready
            ORDER BY w.batch_id
            """, [batch.map { .int($0) } ?? .null])
        var waits: [BatchWait] = []
        for var row in rows {
            let (id, root, hasReady) = (try row.int64(), try row.text(), try row.bool())
            let (due, seconds) = (try row.optionalText(), try row.optionalDouble())
            let (folder, fault, file) = (try row.location(), try row.optionalText(), try row.location())
            waits.append(
                BatchWait(
                    batch: id, root: root, hasReady: hasReady, due: due, secondsUntilDue: seconds,
                    file: fault.map { BatchWait.FaultyFile(path: file.path(below: folder).displayText, fault: $0) }))
        }
        return waits
    }

    /// Of how many of the latest problems `problemGroups` makes its groups.
    package static let problemsLookedAt = 2000

    /// The latest problems by reason, the most frequent first.
    package func problemGroups(batch: Int64?, limit: Int) async throws(DatabaseError) -> [ProblemGroup] {
        let rows = try await database.query(
            """
            SELECT reason, n, batch_name, source_root, source_path, root, path, page_no
            FROM quire.problem_groups($1, $2, $3)
            """, [batch.map { .int($0) } ?? .null, .int(Self.problemsLookedAt), .int(limit)])
        var groups: [ProblemGroup] = []
        for var row in rows {
            let (reason, count, name) = (try row.text(), try row.int(), try row.text())
            let (folder, file) = (try row.location(), try row.location())
            groups.append(
                ProblemGroup(
                    reason: reason, count: count, batch: name, path: file.path(below: folder).displayText,
                    page: try row.optionalInt64().map { Int($0) }))
        }
        return groups
    }

    private static func status(_ row: inout Row) throws(DatabaseError) -> BatchStatus {
        let (id, name, state) = (try row.int64(), try row.text(), try row.label(BatchState.self))
        let priority = try row.int()
        let pipeline = try row.pipeline()
        var documents = BatchStatus.Documents()
        documents.total = try row.int()
        documents.complete = try row.int()
        documents.withFailures = try row.int()
        documents.pending = documents.total - documents.complete - documents.withFailures
        documents.unreadable = try row.int()
        documents.ignored = try row.int()
        var pages = BatchStatus.Pages()
        pages.total = try row.int()
        pages.done = try row.int()
        pages.blank = try row.int()
        pages.failed = try row.int()
        pages.quarantined = try row.int()
        pages.stranded = try row.int()
        pages.pending = pages.total - pages.done - pages.blank - pages.failed - pages.quarantined - pages.stranded
        pages.leased = try row.int()
        let perMinute = try row.optionalDouble()
        let isCurrent = try row.optionalBool() ?? false
        let countsProblem = try row.optionalText()
        pages.noted = try row.int()
        var secondsLeft: Double?
        if pages.pending == 0 {
            secondsLeft = 0
        } else if state == .open, isCurrent, let perMinute, perMinute > 0 {
            secondsLeft = 60 * Double(pages.pending) / perMinute
        }
        return BatchStatus(
            id: id, name: name, state: state, priority: priority, pipeline: pipeline, documents: documents,
            pages: pages, pagesPerMinute: perMinute, secondsLeft: secondsLeft, countsProblem: countsProblem)
    }
}
