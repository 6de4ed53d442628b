extension PageQueue {
    /// Stores what became of the next pages of a lease.
    ///
    /// `outcomes` and `alreadyRecorded` together are the next contiguous pages of the lease; handing over all of them ends
    /// it. A page that failed for the time being waits for another attempt until the batch's `max_attempts`. Calling again
    /// with the same pages, as after a lost connection, changes nothing.
    package func record(
        _ outcomes: [PageOutcome], alreadyRecorded: Set<Int> = [], lease: Lease, worker: Int64
    ) async throws(DatabaseError) -> RecordReceipt {
        let handed = RecordPlan.handedRange(outcomes: outcomes, alreadyRecorded: alreadyRecorded)
        if handed == nil, !outcomes.isEmpty || !alreadyRecorded.isEmpty {
            throw .unexpectedAnswer(reason: "the pages handed over for document \(lease.documentID) leave a gap.")
        }
        return try await database.transaction { connection throws(DatabaseError) in
            guard let held = try HeldJob(lease: lease, worker: worker, connection) else {
                return try Self.receiptOfEndedLease(lease, connection)
            }
            guard let handed else { return .accepted(remaining: held.pages) }
            if handed.upperBound < held.pages.lowerBound { return .accepted(remaining: held.pages) }
            guard handed.lowerBound == held.pages.lowerBound, handed.upperBound <= held.pages.upperBound else {
                throw .unexpectedAnswer(
                    reason: "pages \(handed.lowerBound) to \(handed.upperBound) of document \(lease.documentID) were "
                        + "handed over where \(held.pages.lowerBound) to \(held.pages.upperBound) are leased.")
            }
            let plan = RecordPlan(
                outcomes: outcomes, handed: handed, pages: held.pages, attempt: held.attempt,
                maxAttempts: held.maxAttempts, retrySeconds: held.retrySeconds, jitter: { .random(in: 0.5...1.5) })
            try PageRows(plan.stored, attempt: held.attempt, lease: lease, worker: worker).insert(connection)
            try held.moveOn(
                plan, handing: outcomes.map(\.page) + alreadyRecorded, from: handed.lowerBound, lease: lease, connection
            )
            try Self.tally(plan, worked: plan.stored.count, lease: lease, connection)
            return .accepted(remaining: plan.remaining)
        }
    }

    /// Counts the settled pages as the table has them, which is not what was handed over where another batch was faster.
    private static func tally(
        _ plan: RecordPlan, worked: Int, lease: Lease, _ connection: Connection
    ) throws(DatabaseError) {
        guard !plan.settled.isEmpty else { return }
        // A page whose result a retry has taken away meanwhile goes back to the queue.
        try connection.query(
            """
            WITH settled AS (
              SELECT s.page_no, p.state FROM unnest($3::bigint[]) s(page_no)
              LEFT JOIN quire.page p ON p.document_id = $2 AND p.page_no = s.page_no),
            again AS (
              INSERT INTO quire.job (batch_id, document_id, first_page, n_pages)
              SELECT $1, $2, page_no, 1 FROM settled WHERE state IS NULL)
            INSERT INTO quire.tally_delta (batch_id, document_id, done, blank, failed, quarantined, worked)
            SELECT $1, $2, count(*) FILTER (WHERE state = 'done'), count(*) FILTER (WHERE state = 'blank'),
              count(*) FILTER (WHERE state = 'failed'), count(*) FILTER (WHERE state = 'quarantined'), $4
            FROM settled
            """, [.int(lease.batchID), .int(lease.documentID), .ints(plan.settled), .int(worked)])
    }

    /// The lease is over: by this very call, repeated, or by somebody else.
    private static func receiptOfEndedLease(
        _ lease: Lease, _ connection: Connection
    ) throws(DatabaseError) -> RecordReceipt {
        let rows = try connection.query(
            "SELECT FROM quire.attempt WHERE token = $1 AND outcome IN ('done', 'partial')", [.int(lease.token)])
        return rows.isEmpty ? .leaseLost : .accepted(remaining: nil)
    }
}

/// A leased job, locked to the end of the transaction.
private struct HeldJob {
    let pages: ClosedRange<Int>
    let attempt: Int
    let maxAttempts: Int
    let retrySeconds: Double

    /// Nil if the worker does not hold the lease any more.
    init?(lease: Lease, worker: Int64, _ connection: Connection) throws(DatabaseError) {
        let rows = try connection.query(
            """
            SELECT j.first_page, j.n_pages, j.attempt, b.max_attempts, b.retry_seconds
            FROM quire.job j JOIN quire.batch b ON b.id = j.batch_id
            WHERE j.batch_id = $1 AND j.id = $2 AND j.token = $3 AND j.worker_id = $4 AND j.state = 'leased'
            FOR UPDATE OF j
            """, [.int(lease.batchID), .int(lease.jobID), .int(lease.token), .int(worker)])
        guard var row = rows.first else { return nil }
        let first = try row.int()
        pages = first...first + (try row.int()) - 1
        attempt = try row.int()
        maxAttempts = try row.int()
        retrySeconds = try row.double()
    }

    /// Takes the handed pages out of the job, deletes it when none is left, and makes jobs of the postponed ones.
    func moveOn(
        _ plan: RecordPlan, handing pages: [Int], from first: Int, lease: Lease, _ connection: Connection
    ) throws(DatabaseError) {
        let fence = """
            batch_id = $1 AND id = $2 AND token = $3 AND state = 'leased' AND first_page = $4
            AND (SELECT count(DISTINCT p) FROM unnest($5::bigint[]) p WHERE p BETWEEN $4 AND $4 + $6 - 1) = $6
            """
        let again = """
            again AS (
              INSERT INTO quire.job
                (batch_id, document_id, state, first_page, n_pages, attempt, losses, override_mode, override_prompt, due)
              SELECT m.batch_id, m.document_id, 'waiting', p.page_no, 1, m.attempt, least(m.losses, 1),
                m.override_mode, m.override_prompt, now() + p.seconds * interval '1 second'
              FROM moved m, unnest($7::bigint[], $8::double precision[]) p(page_no, seconds))
            """
        let sql =
            plan.remaining == nil
            ? """
            WITH moved AS (DELETE FROM quire.job WHERE \(fence) AND n_pages = $6 RETURNING *), \(again)
            INSERT INTO quire.attempt (\(JobSQL.attemptColumns), outcome, error)
            SELECT \(JobSQL.attemptValues), CASE WHEN e.error IS NULL THEN 'done' ELSE 'partial' END::quire.attempt_outcome,
              e.error
            FROM moved, LATERAL (SELECT coalesce($9, lease_error) AS error) e RETURNING token
            """
            : """
            WITH moved AS (
              UPDATE quire.job SET first_page = first_page + $6, n_pages = n_pages - $6,
                lease_error = coalesce($9, lease_error), due = now() + lease_seconds * interval '1 second'
              WHERE \(fence) AND n_pages > $6 RETURNING *), \(again)
            SELECT token FROM moved
            """
        let rows = try connection.query(
            sql,
            [
                .int(lease.batchID), .int(lease.jobID), .int(lease.token), .int(first), .ints(pages),
                .int(pages.count), .ints(plan.postponed.map(\.page)), .doubles(plan.postponed.map(\.seconds)),
                .text(plan.lastError),
            ])
        guard rows.count == 1 else {
            throw .unexpectedAnswer(
                reason: "the pages handed over for document \(lease.documentID) are not the next of their lease.")
        }
    }
}
