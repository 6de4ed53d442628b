private import Digest
package import SystemPackage

extension PageQueue {
    /// Documents that `name` can mean, in one batch or in all.
    ///
    /// The first of these that finds any: a path below the batch's folder or the root; a document's number or the start
    /// (of six digits or more) of its SHA-256; the end of a path, from a slash on; the start of a path.
    package func documents(named name: FilePath, batch: Int64?) async throws(DatabaseError) -> [NamedDocument] {
        var wanted = name
        wanted.root = nil
        wanted.lexicallyNormalize()
        let text = String(decoding: name.bytes, as: UTF8.self).lowercased()
        let isHex = text.utf8.count >= 6 && text.utf8.allSatisfy { Character(Unicode.Scalar($0)).isHexDigit }
        let rows = try await database.query(
            """
            WITH found AS MATERIALIZED (
              SELECT f.id, f.document_id, f.root, f.path, b.name, b.source_root, b.source_path, d.page_count, CASE
                WHEN f.path = $2 OR f.path = b.source_path || '/'::bytea || $2 THEN 1
                WHEN d.id = $3 OR starts_with(encode(d.sha256, 'hex'), $4) THEN 2
                WHEN substring(f.path FROM greatest(octet_length(f.path) - octet_length($2), 1)) = '/'::bytea || $2
                  THEN 3
                WHEN substring(f.path FROM 1 FOR octet_length($2)) = $2
                  OR substring(f.path FROM 1 FOR octet_length(b.source_path) + 1 + octet_length($2))
                    = b.source_path || '/'::bytea || $2 THEN 4
                END AS rank
              FROM quire.batch_file f JOIN quire.batch b ON b.id = f.batch_id
              JOIN quire.document d ON d.id = f.document_id
              WHERE f.kind = 'document' AND ($1::bigint IS NULL OR f.batch_id = $1)),
            best AS (SELECT * FROM found WHERE rank = (SELECT min(rank) FROM found))
            SELECT DISTINCT ON (document_id) document_id, name, source_root, source_path, root, path, page_count
            FROM best ORDER BY document_id, id DESC LIMIT 50
            """,
            [
                batch.map { .int($0) } ?? .null, .bytes(wanted.bytes), Int64(text).map { .int($0) } ?? .null,
                isHex ? .text(text) : .null,
            ])
        var documents: [NamedDocument] = []
        for var row in rows {
            let (id, batch) = (try row.int64(), try row.text())
            let (folder, file) = (try row.location(), try row.location())
            documents.append(
                NamedDocument(
                    id: id, batch: batch, path: file.path(below: folder).displayText, pageCount: try row.int()))
        }
        return documents
    }

    /// All that is known of one page of a document.
    package func report(document: Int64, page: Int) async throws(DatabaseError) -> PageReport {
        let result = try await pages(document: document, from: page, limit: 1).first
        let key: [SQLValue] = [.int(document), .int(page)]
        return try await database.run { connection throws(DatabaseError) in
            let rows = try connection.query(
                """
                SELECT d.sha256, d.format, d.page_count, p.model_digest, p.mode, p.prompt, p.max_new_tokens, p.pdf_dpi,
                  p.engine_version, p.precision, d.notes::text
                FROM quire.document d JOIN quire.pipeline p ON p.id = d.pipeline_id WHERE d.id = $1
                """, [.int(document)])
            guard var row = rows.first else { throw .notFound(reason: "There is no document number \(document).") }
            let (sha256, format) = (try row.digest(), try row.label(DocumentFormat.self))
            let pageCount = try row.int()
            let pipeline = try row.pipeline()
            return PageReport(
                document: document, sha256: sha256, format: format, pageCount: pageCount, page: page,
                pipeline: pipeline, notes: try row.notes(), files: try Self.files(of: document, connection),
                result: result?.page == page ? result : nil, jobs: try Self.jobs(key, connection),
                attempts: try Self.attempts(key, connection), replaced: try Self.replaced(key, connection))
        }
    }

    private static func files(
        of document: Int64, _ connection: Connection
    ) throws(DatabaseError) -> [PageReport.File] {
        let rows = try connection.query(
            """
            SELECT b.name, f.root, f.path, f.fault, abs(f.fault_count), \(utc("f.gone_at")) FROM quire.batch_document d
            JOIN quire.batch_file f ON f.batch_id = d.batch_id AND f.document_id = d.document_id
            JOIN quire.batch b ON b.id = d.batch_id
            WHERE d.document_id = $1 ORDER BY f.id LIMIT 100
            """, [.int(document)])
        var files: [PageReport.File] = []
        for var row in rows {
            let (batch, location) = (try row.text(), try row.location())
            let (fault, faults) = (try row.optionalText(), try row.int())
            files.append(
                PageReport.File(
                    batch: batch, location: location, fault: fault, faults: faults, goneAt: try row.optionalText()))
        }
        return files
    }

    private static func jobs(
        _ key: [SQLValue], _ connection: Connection
    ) throws(DatabaseError) -> [PageReport.Job] {
        let rows = try connection.query(
            """
            SELECT b.name, b.state, CASE WHEN j.state = 'waiting' AND j.due = 'infinity' THEN 'stranded'
                ELSE j.state::text END, \(utc("j.started_at")),
              CASE WHEN j.due < 'infinity' THEN \(utc("j.due")) END, j.token, w.name, w.host,
              j.attempt, j.losses
            FROM quire.job j JOIN quire.batch b ON b.id = j.batch_id LEFT JOIN quire.worker w ON w.id = j.worker_id
            WHERE j.document_id = $1 AND $2 BETWEEN j.first_page AND j.first_page + j.n_pages - 1 ORDER BY b.id
            """, key)
        var jobs: [PageReport.Job] = []
        for var row in rows {
            let (batch, batchState) = (try row.text(), try row.label(BatchState.self))
            let state = try row.label(PageReport.Job.State.self)
            let (startedAt, due) = (try row.optionalText(), try row.optionalText())
            let token = try row.optionalInt64()
            let (worker, host) = (try row.optionalText(), try row.optionalText())
            let attempts = try row.int()
            jobs.append(
                PageReport.Job(
                    batch: batch, batchState: batchState, state: state, startedAt: startedAt, due: due, token: token,
                    worker: worker, host: host, attempts: attempts, losses: try row.int()))
        }
        return jobs
    }

    private static func attempts(
        _ key: [SQLValue], _ connection: Connection
    ) throws(DatabaseError) -> [PageReport.Attempt] {
        let rows = try connection.query(
            """
            SELECT a.token, b.name, w.name, w.host, w.pid::bigint, a.first_page, a.n_pages, a.attempt,
              \(utc("a.started_at")), \(utc("a.ended_at")), extract(epoch FROM a.ended_at - a.started_at)::float8,
              a.outcome, a.error
            FROM quire.attempt a LEFT JOIN quire.batch b ON b.id = a.batch_id
            LEFT JOIN quire.worker w ON w.id = a.worker_id
            WHERE a.document_id = $1 AND a.first_page <= $2 AND $2 < a.first_page + a.n_pages ORDER BY a.token
            """, key)
        var attempts: [PageReport.Attempt] = []
        for var row in rows {
            let (token, batch) = (try row.int64(), try row.optionalText())
            let (worker, host, pid) = (try row.optionalText(), try row.optionalText(), try row.optionalInt64())
            let first = try row.int()
            let last = first + (try row.int()) - 1
            let number = try row.int()
            let (startedAt, endedAt, seconds) = (try row.text(), try row.text(), try row.double())
            let outcome = try row.text()
            attempts.append(
                PageReport.Attempt(
                    token: token, batch: batch, worker: worker, host: host, pid: pid, pages: first...last,
                    number: number, startedAt: startedAt, endedAt: endedAt, seconds: seconds, outcome: outcome,
                    error: try row.optionalText()))
        }
        return attempts
    }

    private static func replaced(
        _ key: [SQLValue], _ connection: Connection
    ) throws(DatabaseError) -> [PageReport.Replaced] {
        let rows = try connection.query(
            """
            SELECT h.state, h.token, coalesce(h.mode, p.mode), h.error, \(utc("h.finished_at")), \(utc("h.replaced_at"))
            FROM quire.page_history h JOIN quire.document d ON d.id = h.document_id
            JOIN quire.pipeline p ON p.id = d.pipeline_id
            WHERE h.document_id = $1 AND h.page_no = $2 ORDER BY h.replaced_at
            """, key)
        var replaced: [PageReport.Replaced] = []
        for var row in rows {
            let (state, token) = (try row.label(PageState.self), try row.int64())
            let (mode, error) = (try row.text(), try row.optionalText())
            replaced.append(
                PageReport.Replaced(
                    state: state, token: token, mode: mode, error: error, finishedAt: try row.text(),
                    replacedAt: try row.text()))
        }
        return replaced
    }

    /// SQL that writes a time in ISO 8601, UTC.
    static func utc(_ column: String) -> String {
        "to_char(\(column) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
    }
}
