/// Moves `tally_delta` into the counts that status reads.
enum TallyFold {
    /// Waits for its turn at keeping house; the turn lasts to the end of the transaction.
    static func lock(_ connection: Connection) throws(DatabaseError) {
        try connection.query("SELECT pg_advisory_xact_lock($1)", [.int(AdvisoryLock.housekeeping)])
    }

    /// Takes the turn at keeping house if nobody has it.
    static func tryLock(_ connection: Connection) throws(DatabaseError) -> Bool {
        let rows = try connection.query("SELECT pg_try_advisory_xact_lock($1)", [.int(AdvisoryLock.housekeeping)])
        guard var row = rows.first else { return false }
        return try row.bool()
    }

    /// Folds all deltas that are there; the caller has the turn.
    static func fold(_ connection: Connection) throws(DatabaseError) {
        try connection.query(
            """
            WITH taken AS (DELETE FROM quire.tally_delta RETURNING *),
            by_document AS (
              SELECT batch_id, document_id, sum(done)::int AS done, sum(blank)::int AS blank,
                sum(failed)::int AS failed, sum(quarantined)::int AS quarantined
              FROM taken WHERE document_id IS NOT NULL GROUP BY batch_id, document_id),
            moved AS (
              UPDATE quire.batch_document b SET done = b.done + d.done, blank = b.blank + d.blank,
                failed = b.failed + d.failed, quarantined = b.quarantined + d.quarantined
              FROM by_document d WHERE b.batch_id = d.batch_id AND b.document_id = d.document_id
              RETURNING b.batch_id, b.page_count, b.done + b.blank + b.failed + b.quarantined AS settled,
                b.failed + b.quarantined AS bad, d.done + d.blank + d.failed + d.quarantined AS settled_change,
                d.failed + d.quarantined AS bad_change),
            documents AS (
              SELECT batch_id,
                sum((settled = page_count AND bad = 0)::int
                  - (settled - settled_change = page_count AND bad - bad_change = 0)::int) AS complete,
                sum((settled = page_count AND bad > 0)::int
                  - (settled - settled_change = page_count AND bad - bad_change > 0)::int) AS with_failures
              FROM moved GROUP BY batch_id),
            rate AS (
              INSERT INTO quire.throughput AS t (batch_id, bucket, n)
              SELECT batch_id, date_bin('10 seconds', at, 'epoch'), sum(worked) FROM taken WHERE worked > 0
              GROUP BY 1, 2 ON CONFLICT (batch_id, bucket) DO UPDATE SET n = t.n + excluded.n),
            by_batch AS (
              SELECT batch_id, sum(documents) AS documents, sum(unreadable) AS unreadable, sum(ignored) AS ignored,
                sum(pages) AS pages, sum(done) AS done, sum(blank) AS blank, sum(failed) AS failed,
                sum(quarantined) AS quarantined
              FROM taken GROUP BY batch_id)
            UPDATE quire.tally t SET documents = t.documents + b.documents, unreadable = t.unreadable + b.unreadable,
              ignored = t.ignored + b.ignored, pages = t.pages + b.pages, done = t.done + b.done,
              blank = t.blank + b.blank, failed = t.failed + b.failed, quarantined = t.quarantined + b.quarantined,
              complete = t.complete + coalesce(d.complete, 0),
              with_failures = t.with_failures + coalesce(d.with_failures, 0)
            FROM by_batch b LEFT JOIN documents d ON d.batch_id = b.batch_id WHERE t.batch_id = b.batch_id
            """)
    }
}
