/// What several orders do to jobs.
enum JobSQL {
    /// Sets a job free of its lease; part of an UPDATE of `quire.job`.
    static let noLease = """
        token = NULL, worker_id = NULL, started_at = NULL, lease_seconds = NULL, lease_first = NULL, lease_error = NULL,
          claim_key = NULL
        """

    /// Columns of `quire.attempt` that `attemptValues` fills.
    static let attemptColumns = """
        token, batch_id, document_id, first_page, n_pages, attempt, worker_id, started_at
        """

    /// A lease's entry in the ledger, of a leased job's columns.
    static let attemptValues = """
        token, batch_id, document_id, lease_first, first_page + n_pages - lease_first, attempt, worker_id, started_at
        """

    /// Locks all jobs that fulfil `condition`, also those that other transactions are just making.
    ///
    /// A transaction that makes jobs holds another job of the same batch and document, which the first pass waits for.
    static func lockAll(
        _ connection: Connection, where condition: String, _ parameters: [SQLValue]
    ) throws(DatabaseError) {
        var locked: Set<Int64> = []
        while true {
            let rows = try connection.query(
                "SELECT id FROM quire.job WHERE \(condition) ORDER BY batch_id, id FOR UPDATE", parameters)
            for var row in rows { locked.insert(try row.int64()) }
            let visible = try connection.query("SELECT id FROM quire.job WHERE \(condition)", parameters)
            var isStable = true
            for var row in visible {
                let id = try row.int64()
                if !locked.contains(id) { isStable = false }
            }
            if isStable { return }
        }
    }

    /// Deletes all jobs that fulfil `condition`; leases among them end as cancelled, and stranded pages count no more.
    static func deleteAll(
        _ connection: Connection, where condition: String, _ parameters: [SQLValue]
    ) throws(DatabaseError) {
        try lockAll(connection, where: condition, parameters)
        try connection.query(
            """
            WITH gone AS (DELETE FROM quire.job WHERE \(condition) RETURNING *),
            -- Pages that no file led to were counted as settled.
            unsettled AS (
              INSERT INTO quire.tally_delta (batch_id, document_id, stranded)
              SELECT batch_id, document_id, -sum(n_pages) FROM gone WHERE state = 'waiting' AND due = 'infinity'
              GROUP BY batch_id, document_id)
            INSERT INTO quire.attempt (\(attemptColumns), outcome)
            SELECT \(attemptValues), 'cancelled' FROM gone WHERE state = 'leased'
            """, parameters)
    }

    /// Locks what an order about documents concerns: them, the batches that hold them, and all their jobs.
    ///
    /// Submissions that find pages of them recorded wait, as do workers that settle them.
    static func lockDocuments(_ documents: [Int64], _ connection: Connection) throws(DatabaseError) {
        let parameters: [SQLValue] = [.ints(documents)]
        try connection.query(
            "SELECT FROM quire.document WHERE id = ANY ($1::bigint[]) ORDER BY id FOR NO KEY UPDATE", parameters)
        try connection.query(
            """
            SELECT FROM quire.batch WHERE id IN (
              SELECT batch_id FROM quire.batch_document WHERE document_id = ANY ($1::bigint[]))
            ORDER BY id FOR NO KEY UPDATE
            """, parameters)
        try lockAll(connection, where: "document_id = ANY ($1::bigint[])", parameters)
    }

    /// Makes stranded jobs of these documents ready.
    ///
    /// Also at the end of an order that has locked jobs: whoever recorded pages of them meanwhile passed over what was locked.
    static func freeStranded(_ documents: [Int64], _ connection: Connection) throws(DatabaseError) {
        try connection.query("SELECT quire.free_stranded($1::bigint[])", [.ints(documents)])
    }

    /// Common table expressions that make jobs of `missing` (batch_id, document_id, place, page_no, mode, prompt): `made`
    /// has a row with n_pages for each, in the order of `place`.
    static let jobsOfMissing = """
        islands AS (
          SELECT *, page_no - row_number() OVER (
            PARTITION BY batch_id, document_id, mode, prompt ORDER BY page_no) AS island
          FROM missing),
        numbered AS (
          SELECT *, (row_number() OVER (PARTITION BY batch_id, document_id, mode, prompt, island ORDER BY page_no) - 1)
            / \(PageQueue.pagesPerJob) AS part FROM islands),
        made AS (
          INSERT INTO quire.job (batch_id, document_id, first_page, n_pages, override_mode, override_prompt)
          SELECT batch_id, document_id, min(page_no), count(*), mode, prompt FROM numbered
          GROUP BY place, batch_id, document_id, mode, prompt, island, part ORDER BY place, batch_id, document_id, min(page_no)
          RETURNING batch_id, n_pages)
        """

    /// Makes jobs for all pages of the documents that have no result that stands, in the documents' order, and tallies the
    /// others.
    ///
    /// Both in one statement, as both need the same snapshot: each page must end up either tallied or in a job. `tally` is
    /// the SELECT that makes rows of `tally_delta` from `recorded` (document_id, page_count, done, blank, failed,
    /// quarantined, noted), one row for each document.
    static func queueMissing(
        _ connection: Connection, batch: Int64, documents: [Int64], makingJobs: Bool, tally: String
    ) throws(DatabaseError) -> (queued: Int, recorded: Int) {
        let rows = try connection.query(
            """
            WITH wanted AS (
              SELECT d.id AS document_id, d.page_count, w.place
              FROM unnest($2::bigint[]) WITH ORDINALITY w(id, place) JOIN quire.document d ON d.id = w.id),
            recorded AS (
              SELECT w.document_id, w.page_count, count(*) FILTER (WHERE p.state = 'done') AS done,
                count(*) FILTER (WHERE p.state = 'blank') AS blank,
                count(*) FILTER (WHERE p.state = 'failed') AS failed,
                count(*) FILTER (WHERE p.state = 'quarantined') AS quarantined,
                count(*) FILTER (WHERE p.notes IS NOT NULL) AS noted, count(p.state) AS settled
              FROM wanted w LEFT JOIN quire.page p ON p.document_id = w.document_id AND p.redo_token IS NULL
                AND p.page_no <= w.page_count
              GROUP BY w.document_id, w.page_count),
            missing AS (
              SELECT $1::bigint AS batch_id, w.document_id, w.place, n AS page_no, p.redo_mode AS mode,
                p.redo_prompt AS prompt
              FROM wanted w CROSS JOIN generate_series(1, w.page_count) n
              LEFT JOIN quire.page p ON p.document_id = w.document_id AND p.page_no = n
              WHERE (p.page_no IS NULL OR p.redo_token IS NOT NULL) AND $3),
            \(jobsOfMissing),
            tallied AS (
              INSERT INTO quire.tally_delta (batch_id, document_id, documents, pages, done, blank, failed,
                quarantined, noted)
              \(tally))
            SELECT (SELECT coalesce(sum(n_pages), 0)::bigint FROM made),
              (SELECT coalesce(sum(settled), 0)::bigint FROM recorded)
            """, [.int(batch), .ints(documents), .bool(makingJobs)])
        guard var row = rows.first else { throw .unexpectedAnswer(reason: "no count of queued pages.") }
        let queued = try row.int()
        let recorded = try row.int()
        if queued > 0 { try markHavingJobs([batch], connection) }
        return (queued, recorded)
    }

    /// Makes jobs for pages of these documents of a batch that have neither a result that stands nor a job.
    ///
    /// Returns how many. The caller has locked the documents.
    static func queueUncovered(
        _ documents: [Int64], of batch: Int64, _ connection: Connection
    ) throws(DatabaseError) -> Int {
        var rows = try connection.query(
            """
            WITH missing AS (
              SELECT $1::bigint AS batch_id, d.id AS document_id, d.id AS place, n AS page_no, p.redo_mode AS mode,
                p.redo_prompt AS prompt
              FROM quire.batch_document b JOIN quire.document d ON d.id = b.document_id
              CROSS JOIN generate_series(1, d.page_count) n
              LEFT JOIN quire.page p ON p.document_id = d.id AND p.page_no = n
              WHERE b.batch_id = $1 AND d.id = ANY ($2::bigint[]) AND (p.page_no IS NULL OR p.redo_token IS NOT NULL)
                AND NOT EXISTS (SELECT FROM quire.job j WHERE j.batch_id = $1 AND j.document_id = d.id
                  AND n BETWEEN j.first_page AND j.first_page + j.n_pages - 1)),
            \(jobsOfMissing)
            SELECT coalesce(sum(n_pages), 0)::bigint FROM made
            """, [.int(batch), .ints(documents)])
        let queued = rows.isEmpty ? 0 : try rows[0].int()
        if queued > 0 { try markHavingJobs([batch], connection) }
        return queued
    }

    /// So that claims look at these batches.
    static func markHavingJobs(_ batches: [Int64], _ connection: Connection) throws(DatabaseError) {
        try connection.query(
            "UPDATE quire.batch SET has_jobs = true WHERE id = ANY ($1::bigint[]) AND NOT has_jobs", [.ints(batches)])
    }
}
