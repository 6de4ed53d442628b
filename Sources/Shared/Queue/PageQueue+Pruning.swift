/// What `quire prune` takes away, or would.
package struct PruneCounts: Sendable, Equatable {
    /// Entries of the ledger.
    package var attempts = 0
    /// Figures of the throughput, of ten seconds each.
    package var throughput = 0
    /// Results that a retry has replaced.
    package var replaced = 0

    package init() {}
}

extension PageQueue {
    /// Rows that one statement takes away at most, so that no lock is held for long.
    private static let pruneChunk = 5000

    /// Takes away details of batches with nothing left to do; `isTrial` only counts them.
    ///
    /// Those are: attempts that ended, figures of the throughput, and, with `replaced`, results that a retry replaced, all
    /// of it more than `seconds` ago. Neither results nor anything of other batches is touched. Each chunk is a
    /// transaction of its own.
    package func prune(
        batches: [Int64], olderThan seconds: Double, replaced: Bool, isTrial: Bool
    ) async throws(DatabaseError) -> PruneCounts {
        var counts = PruneCounts()
        counts.attempts = try await pruneAttempts(of: batches, olderThan: seconds, isTrial: isTrial)
        let old = "FROM quire.throughput WHERE batch_id = ANY ($1::bigint[]) AND bucket < now() - $2 * interval '1 s'"
        counts.throughput = try await count(
            isTrial ? "SELECT count(*) \(old)" : "WITH gone AS (DELETE \(old) RETURNING 1) SELECT count(*) FROM gone",
            [.ints(batches), .double(seconds)])
        if replaced {
            counts.replaced = try await pruneReplaced(of: batches, olderThan: seconds, isTrial: isTrial)
        }
        return counts
    }

    /// Goes through the ledger by its primary key, up to the first part that is too young as a whole.
    private func pruneAttempts(
        of batches: [Int64], olderThan seconds: Double, isTrial: Bool
    ) async throws(DatabaseError) -> Int {
        var (total, token) = (0, Int64.min)
        while true {
            var rows = try await database.query(
                """
                SELECT max(s.token), coalesce(bool_and(s.started_at >= now() - $2 * interval '1 s'), true)
                FROM (SELECT token, started_at FROM quire.attempt WHERE token > $1 ORDER BY token LIMIT $3) s
                """, [.int(token), .double(seconds), .int(Self.pruneChunk)])
            guard !rows.isEmpty, let last = try rows[0].optionalInt64(), !(try rows[0].bool()) else { return total }
            let old = """
                FROM quire.attempt WHERE token > $1 AND token <= $2 AND batch_id = ANY ($3::bigint[])
                  AND ended_at < now() - $4 * interval '1 s'
                """
            total += try await count(
                isTrial
                    ? "SELECT count(*) \(old)" : "WITH gone AS (DELETE \(old) RETURNING 1) SELECT count(*) FROM gone",
                [.int(token), .int(last), .ints(batches), .double(seconds)])
            token = last
        }
    }

    /// A document that another batch still has to do keeps what it has.
    private func pruneReplaced(
        of batches: [Int64], olderThan seconds: Double, isTrial: Bool
    ) async throws(DatabaseError) -> Int {
        let old = """
            FROM quire.page_history h WHERE h.replaced_at < now() - $2 * interval '1 s'
              AND EXISTS (SELECT FROM quire.batch_document d
                WHERE d.document_id = h.document_id AND d.batch_id = ANY ($1::bigint[]))
              AND NOT EXISTS (SELECT FROM quire.job j WHERE j.document_id = h.document_id)
            """
        let parameters: [SQLValue] = [.ints(batches), .double(seconds)]
        if isTrial { return try await count("SELECT count(*) \(old)", parameters) }
        var total = 0
        while true {
            let chunk = try await count(
                """
                WITH gone AS (
                  DELETE FROM quire.page_history WHERE ctid = ANY (ARRAY(SELECT h.ctid \(old) LIMIT $3))
                  RETURNING document_id, page_no, token),
                figures AS (
                  DELETE FROM quire.page_figure f USING gone g
                  WHERE f.document_id = g.document_id AND f.page_no = g.page_no AND f.token = g.token)
                SELECT count(*) FROM gone
                """, parameters + [.int(Self.pruneChunk)])
            total += chunk
            if chunk < Self.pruneChunk { return total }
        }
    }

    private func count(_ sql: String, _ parameters: [SQLValue]) async throws(DatabaseError) -> Int {
        var rows = try await database.query(sql, parameters)
        guard !rows.isEmpty else { throw .unexpectedAnswer(reason: "a count is missing.") }
        return try rows[0].int()
    }
}
