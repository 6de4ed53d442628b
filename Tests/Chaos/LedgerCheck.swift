package import Shared

/// Proves from the job tables alone that each page was done once, and that nothing was mixed up.
package struct LedgerCheck: Sendable {
    let database: Database
    let batch: Int64

    package init(database: Database, batch: Int64) {
        self.database = database
        self.batch = batch
    }

    /// What is wrong, in sentences; empty where nothing is.
    ///
    /// `pages` is how many the batch has; `quarantined` are the paths and pages that must be so, and `stranded` how many
    /// pages no file may lead to.
    package func faults(
        pages: Int, quarantined: [(path: String, page: Int)] = [], stranded: Int = 0
    ) async throws -> [String] {
        // What is left to be counted is counted now.
        let queue = PageQueue(database: database)
        while try await database.number("SELECT count(*) FROM quire.tally_delta") > 0 { try await queue.maintain() }
        var faults: [String] = []
        let rows = try await database.number("SELECT count(*) FROM quire.page")
        if rows != pages - stranded { faults.append("\(rows) pages are recorded, of \(pages - stranded).") }
        let waiting = try await database.number(
            "SELECT coalesce(sum(n_pages), 0)::bigint FROM quire.job WHERE due = 'infinity'")
        if waiting != stranded { faults.append("\(waiting) pages are stranded, and \(stranded) should be.") }
        for (what, sql) in Self.questions {
            let count = try await database.number(sql, sql.contains("$1") ? [.int(batch)] : [])
            if count != 0 { faults.append("\(count) \(what).") }
        }
        // What must hold of any queue at any time.
        faults += try await QueueCheck(queue).faults().map { "\($0.text)." }
        var found: [String] = []
        for var row in try await database.query(Self.quarantinedSQL) { found.append(try row.text()) }
        let expected = quarantined.map { "\($0.path):\($0.page)" }.sorted()
        if found.sorted() != expected { faults.append("Quarantined are \(found), and should be \(expected).") }
        return faults
    }

    private static let quarantinedSQL = """
        SELECT convert_from(f.path, 'UTF8') || ':' || p.page_no FROM quire.page p
        JOIN quire.batch_file f ON f.document_id = p.document_id WHERE p.state = 'quarantined'
        """

    /// Each counts what must not be.
    private static let questions: [(what: String, sql: String)] = [
        ("jobs are left", "SELECT count(*) FROM quire.job WHERE due IS NULL OR due < 'infinity'"),
        ("pages are still to be read again", "SELECT count(*) FROM quire.page WHERE redo_token IS NOT NULL"),
        (
            "pages have a result and are stranded as well",
            """
            SELECT count(*) FROM quire.job j JOIN quire.page p ON p.document_id = j.document_id
              AND p.page_no BETWEEN j.first_page AND j.first_page + j.n_pages - 1
            WHERE j.due = 'infinity'
            """
        ),
        (
            "ranges are stranded though a file of theirs has no fault",
            """
            SELECT count(*) FROM quire.job j JOIN quire.batch_file f ON f.document_id = j.document_id
            WHERE j.due = 'infinity' AND f.fault_count = 0 AND f.gone_at IS NULL
            """
        ),
        ("tallies cannot be brought up to date", "SELECT count(*) FROM quire.tally WHERE fold_error IS NOT NULL"),
        (
            "pages of documents have no result",
            """
            SELECT count(*) FROM quire.batch_document d, generate_series(1, d.page_count) n
            WHERE d.batch_id = $1 AND NOT EXISTS (
              SELECT FROM quire.page p WHERE p.document_id = d.document_id AND p.page_no = n)
              AND NOT EXISTS (SELECT FROM quire.job j WHERE j.batch_id = $1 AND j.document_id = d.document_id
                AND j.due = 'infinity' AND n BETWEEN j.first_page AND j.first_page + j.n_pages - 1)
            """
        ),
        (
            "pages have the text of another page",
            """
            SELECT count(*) FROM quire.page p JOIN quire.document d ON d.id = p.document_id
            WHERE p.state <> 'quarantined' AND (p.state <> 'done'
              OR p.markdown IS DISTINCT FROM 'Page ' || p.page_no || ' of ' || encode(d.sha256, 'hex'))
            """
        ),
        (
            "pages have the notes of another page",
            """
            SELECT count(*) FROM quire.page p
            WHERE p.state = 'done' AND p.notes ->> 0 IS DISTINCT FROM CASE WHEN p.page_no % 7 = 0 THEN
              jsonb_build_object('code', 'picture-damaged', 'text', 'Page ' || p.page_no || ' is torn.')::text END
            """
        ),
        (
            // A result that came too late would carry the token of a lease that another followed.
            "pages were not recorded by the last lease that covered them, and its worker",
            """
            SELECT count(*) FROM quire.page p LEFT JOIN (
              SELECT DISTINCT ON (p.document_id, p.page_no) p.document_id, p.page_no, a.token, a.worker_id
              FROM quire.page p JOIN quire.attempt a ON a.document_id = p.document_id
                AND p.page_no BETWEEN a.first_page AND a.first_page + a.n_pages - 1
              ORDER BY p.document_id, p.page_no, a.started_at DESC) l USING (document_id, page_no)
            WHERE (p.token, p.worker_id) IS DISTINCT FROM (l.token, l.worker_id)
            """
        ),
        (
            "leases ended without an entry in the ledger",
            """
            SELECT count(DISTINCT p.token) FROM quire.page p
            WHERE NOT EXISTS (SELECT FROM quire.attempt a WHERE a.token = p.token)
            """
        ),
    ]
}
