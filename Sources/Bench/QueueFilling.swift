import Shared
import SystemPackage

/// Fills the job tables as a submission would, but with SQL alone.
struct QueueFilling {
    static let modelDigest = String(repeating: "be", count: 32)

    let pages: Int
    let documentPages: Int

    /// Makes one batch with all the pages, in ranges as submissions make them; returns its number.
    func fill(_ queue: PageQueue) async throws -> Int64 {
        let batch = try await queue.openBatch(
            name: "bench", source: SourceLocation(root: "home", path: "bench"),
            pipeline: Pipeline(
                modelDigest: Self.modelDigest, mode: "base", prompt: "<image>\nFree OCR.", maxNewTokens: 4096),
            priority: 0
        ).batch.id
        let statements: [(String, [SQLValue])] = [
            (
                """
                INSERT INTO quire.document (sha256, pipeline_id, format, page_count)
                SELECT sha256(int8send(n)), b.pipeline_id, 'pdf', least($3, $2 - (n - 1) * $3)
                FROM quire.batch b, generate_series(1, ($2 + $3 - 1) / $3) n WHERE b.id = $1 ORDER BY n
                """, [.int(batch), .int(pages), .int(documentPages)]
            ),
            (
                """
                INSERT INTO quire.batch_document (batch_id, document_id, page_count)
                SELECT $1, id, page_count FROM quire.document ORDER BY id
                """, [.int(batch)]
            ),
            (
                """
                INSERT INTO quire.batch_file (batch_id, root, path, size, modified_ns, kind, document_id)
                SELECT $1, 'home', convert_to('bench/shelf-' || id / 1000 || '/volume-' || id || '.pdf', 'UTF8'),
                  1000000, id, 'document', id
                FROM quire.document ORDER BY id
                """, [.int(batch)]
            ),
            (
                """
                INSERT INTO quire.job (batch_id, document_id, first_page, n_pages)
                SELECT $1, d.id, f, least(16, d.page_count - f + 1)
                FROM quire.document d CROSS JOIN LATERAL generate_series(1, d.page_count, 16) f ORDER BY d.id, f
                """, [.int(batch)]
            ),
            ("UPDATE quire.batch SET has_jobs = true WHERE id = $1", [.int(batch)]),
            (
                """
                UPDATE quire.tally SET pages = $2, documents = (SELECT count(*) FROM quire.document)
                WHERE batch_id = $1
                """, [.int(batch), .int(pages)]
            ),
            ("VACUUM ANALYZE", []),
            ("CHECKPOINT", []),
        ]
        for (sql, parameters) in statements { try await queue.database.query(sql, parameters) }
        return batch
    }
}

extension QueueFilling {
    /// Has all pages end with a text of a few hundred letters.
    func finish(_ queue: PageQueue) async throws {
        let statements = [
            """
            INSERT INTO quire.page (document_id, page_no, state, attempt, token, width, height, dpi, render_seconds,
              encode_seconds, prefill_seconds, decode_seconds, prompt_tokens, output_tokens, reached_end, engine_version,
              markdown, layout, raw_text)
            SELECT d.id, n, 'done', 1, d.id, 1024, 1448, 144, 0.1, 1, 1, 1, 300, 200, true, '0.1.0', t.text, '[]', t.text
            FROM quire.document d CROSS JOIN generate_series(1, d.page_count) n
            CROSS JOIN LATERAL (SELECT repeat('The lamp of house ' || d.id || ' was lit. ', 12) AS text) t ORDER BY d.id
            """, "DELETE FROM quire.job", "VACUUM ANALYZE", "CHECKPOINT",
        ]
        for sql in statements { try await queue.database.query(sql) }
    }
}

/// Bytes that the server has written and holds.
struct QueueSizes {
    /// The queue: jobs and their indexes.
    var job: Int64
    /// Pages, ledger and counts, with their indexes.
    var results: Int64
    /// Bytes of log since the cluster was made.
    var wal: Int64

    static func read(_ queue: PageQueue) async throws -> QueueSizes {
        var rows = try await queue.database.query(
            """
            SELECT pg_total_relation_size('quire.job'), (
                SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c
                JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'quire' AND c.relkind = 'r'
                  AND c.relname IN ('page', 'page_figure', 'attempt')),
              (pg_current_wal_insert_lsn() - '0/0')::bigint
            """)
        guard !rows.isEmpty else { throw QueueProblem(reason: "PostgreSQL does not tell its sizes.") }
        let (job, results) = (try rows[0].int64(), try rows[0].int64())
        return QueueSizes(job: job, results: results, wal: try rows[0].int64())
    }

    static func - (left: QueueSizes, right: QueueSizes) -> QueueSizes {
        QueueSizes(job: left.job - right.job, results: left.results - right.results, wal: left.wal - right.wal)
    }
}
