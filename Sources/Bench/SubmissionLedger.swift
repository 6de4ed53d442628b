import Shared

/// What the tables say of submitted small files, and what they should.
struct SubmissionLedger {
    let queue: PageQueue
    let files: SmallFiles

    /// Files that are stored so far.
    func stored() async throws -> Int { try await number("SELECT count(*) FROM quire.batch_file") }

    /// What is wrong, and how often; every count should be 0.
    func faults() async throws -> [(what: String, count: Int)] {
        let pages = files.pages
        let status = try await queue.status(batch: nil)
        return [
            ("batches beside the one", abs(status.count - 1)),
            ("files that are missing, or there twice", try await wrongFiles()),
            (
                "documents missing or too many",
                abs(try await number("SELECT count(*) FROM quire.document") - files.count)
            ),
            (
                // A name says how many pages its file has: findings must not have been mixed up.
                "files with another number of pages, or another format, than was made",
                try await number(
                    """
                    SELECT count(*) FROM quire.batch_file f LEFT JOIN quire.document d ON d.id = f.document_id
                    LEFT JOIN quire.batch_document b ON b.batch_id = f.batch_id AND b.document_id = f.document_id
                    CROSS JOIN LATERAL (SELECT convert_from(f.path, 'UTF8') AS path) p
                    WHERE concat(d.page_count, '.', left(d.format::text, 3)) IS DISTINCT FROM
                        replace(substring(p.path FROM '-([0-9]+[.][a-z]+)$'), 'jpg', 'jpe')
                      OR b.page_count IS DISTINCT FROM d.page_count
                    """)
            ),
            (
                "pages covered by no job, or by more than one",
                try await number(
                    """
                    SELECT count(*) FROM (
                      SELECT d.document_id, page FROM quire.batch_document d, generate_series(1, d.page_count) page
                    ) p FULL JOIN (
                      SELECT j.document_id, page, count(*) AS jobs
                      FROM quire.job j, generate_series(j.first_page, j.first_page + j.n_pages - 1) page GROUP BY 1, 2
                    ) c USING (document_id, page)
                    WHERE c.jobs IS DISTINCT FROM 1 OR p.document_id IS NULL
                    """)
            ),
            ("pages missing or too many", abs(try await number("SELECT sum(n_pages) FROM quire.job") - pages)),
            (
                "documents and pages that quire status counts wrongly",
                abs((status.first?.documents.total ?? 0) - files.count) + abs((status.first?.pages.total ?? 0) - pages)
            ),
        ]
    }

    private func wrongFiles() async throws -> Int {
        let rows = try await number("SELECT count(*) FROM quire.batch_file WHERE kind = 'document'")
        let paths = try await number("SELECT count(DISTINCT path) FROM quire.batch_file")
        let contents = try await number("SELECT count(DISTINCT document_id) FROM quire.batch_file")
        return abs(rows - files.count) + abs(paths - files.count) + abs(contents - files.count)
    }

    private func number(_ sql: String) async throws -> Int {
        guard var row = try await queue.database.query(sql).first else { return -1 }
        return try row.int()
    }
}
