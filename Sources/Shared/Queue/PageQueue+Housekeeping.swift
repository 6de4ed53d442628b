extension PageQueue {
    /// Seconds without a heartbeat after which a worker is taken for dead.
    package static let silenceSeconds = 45.0

    /// Makes waiting jobs ready, takes back what lost workers hold, and brings the counts up to date.
    ///
    /// Where several processes do it, one works and the others return at once. Processes that go on go by `Upkeep`, which
    /// says by `canHear` whether silence means anything.
    package func maintain(
        silenceSeconds: Double = silenceSeconds, canHear: @Sendable () -> Bool = { true }
    ) async throws(DatabaseError) {
        var rows = try await database.run { connection throws(DatabaseError) in
            try connection.query(
                "SELECT quire.keep_house($1, $2)",
                [.int(AdvisoryLock.housekeeping), canHear() ? .double(silenceSeconds) : .null])
        }
        guard !rows.isEmpty, try rows[0].optionalBool() == true else { return }
        // In a transaction of its own, as status and submissions wait for the turn at the counts.
        try await database.transaction { connection throws(DatabaseError) in
            try Self.rescue(
                connection,
                where: """
                    (j.due < now() OR NOT EXISTS (
                      SELECT FROM quire.worker w WHERE w.id = j.worker_id AND w.ended_at IS NULL))
                    """, [])
        }
    }

    /// Takes back at once what these workers hold; the caller knows that they are dead.
    package func reportDead(workers: [Int64]) async throws(DatabaseError) {
        guard !workers.isEmpty else { return }
        try await database.transaction { connection throws(DatabaseError) in
            try connection.query(
                "UPDATE quire.worker SET ended_at = now() WHERE id = ANY ($1::bigint[]) AND ended_at IS NULL",
                [.ints(workers)])
            try Self.rescue(connection, where: "j.worker_id = ANY ($1::bigint[])", [.ints(workers)])
        }
    }

    /// Workers that are registered and not known to have ended, on one host since its last start.
    package func workersOnHost(
        bootID: String, host: String
    ) async throws(DatabaseError) -> [(id: Int64, pid: Int32, processStartTicks: Int64, bootID: String)] {
        try await database.run { connection throws(DatabaseError) in
            let rows = try connection.query(
                """
                SELECT id, pid, process_start_ticks, boot_id FROM quire.worker
                WHERE ended_at IS NULL AND (boot_id = $1 OR host = $2) ORDER BY id
                """, [.text(bootID), .text(host)])
            var workers: [(id: Int64, pid: Int32, processStartTicks: Int64, bootID: String)] = []
            for var row in rows {
                let (id, pid) = (try row.int64(), Int32(truncatingIfNeeded: try row.int64()))
                workers.append((id, pid, try row.int64(), try row.text()))
            }
            return workers
        }
    }

    /// Asks workers to finish what they have and leave; all of them where `workers` is nil.
    package func drain(workers: [Int64]?) async throws(DatabaseError) {
        let condition = workers == nil ? "" : " AND id = ANY ($1::bigint[])"
        try await database.query(
            "UPDATE quire.worker SET should_drain = true WHERE ended_at IS NULL\(condition)",
            workers.map { [.ints($0)] } ?? [])
    }

    /// Ends leases as lost; `condition` is about the leased job `j`.
    ///
    /// Where there are more than can be taken back at once, single pages come first: which of them was alone with its
    /// worker must be seen before the worker's other leases are gone.
    private static func rescue(
        _ connection: Connection, where condition: String, _ parameters: [SQLValue]
    ) throws(DatabaseError) {
        let rows = try connection.query(
            """
            SELECT j.batch_id, j.id, j.first_page, j.n_pages, j.losses, b.max_losses, b.retry_seconds,
              w.name, w.host, j.due < now(), NOT EXISTS (
                SELECT FROM quire.job o WHERE o.worker_id = j.worker_id AND o.state = 'leased'
                  AND (o.batch_id, o.id) <> (j.batch_id, j.id))
            FROM quire.job j JOIN quire.batch b ON b.id = j.batch_id LEFT JOIN quire.worker w ON w.id = j.worker_id
            WHERE j.state = 'leased' AND \(condition) ORDER BY j.n_pages, j.batch_id, j.id LIMIT 500
            FOR UPDATE OF j SKIP LOCKED
            """, parameters)
        for var row in rows {
            let key: [SQLValue] = [.int(try row.int64()), .int(try row.int64())]
            let first = try row.int()
            let pages = first...first + (try row.int()) - 1
            let losses = try row.int()
            let (maxLosses, retrySeconds) = (try row.int(), try row.double())
            let (name, host) = (try row.optionalText() ?? "unknown", try row.optionalText() ?? "unknown")
            let isOverdue = try row.bool()
            let plan = LossPlan(
                pages: pages, losses: losses, isAlone: try row.bool(), maxLosses: maxLosses,
                retrySeconds: retrySeconds)
            let reason =
                isOverdue
                ? "The worker \(name) on \(host) recorded nothing before its lease ended."
                : "The worker \(name) on \(host) was lost."
            try connection.query(
                """
                INSERT INTO quire.attempt (\(JobSQL.attemptColumns), outcome, error)
                SELECT \(JobSQL.attemptValues), 'lost', $3 FROM quire.job WHERE batch_id = $1 AND id = $2
                """, key + [.text(reason)])
            switch plan {
            case .requeue(let ranges, let losses, let delay):
                try requeue(ranges, losses: losses, delay: delay * .random(in: 0.5...1.5), key, connection)
            case .quarantine:
                try quarantine(
                    reason: "Workers were lost on this page \(losses + 1) times. \(reason) "
                        + "Look at it, then `quire retry` it.", key, connection)
            }
        }
    }

    private static func requeue(
        _ ranges: [ClosedRange<Int>], losses: Int, delay: Double, _ key: [SQLValue], _ connection: Connection
    ) throws(DatabaseError) {
        // The first range keeps the job's place in the queue.
        try connection.query(
            """
            WITH lost AS (SELECT * FROM quire.job WHERE batch_id = $1 AND id = $2),
            rest AS (
              INSERT INTO quire.job
                (batch_id, document_id, state, first_page, n_pages, attempt, losses, override_mode, override_prompt, due)
              SELECT batch_id, document_id, CASE WHEN $3::float8 > 0 THEN 'waiting' ELSE 'ready' END::quire.job_state,
                r.first_page, r.n_pages, attempt - 1, $4, override_mode, override_prompt,
                CASE WHEN $3 > 0 THEN now() + $3 * interval '1 second' END
              FROM lost, unnest($5::bigint[], $6::bigint[]) WITH ORDINALITY r(first_page, n_pages, place)
              WHERE r.place > 1)
            UPDATE quire.job SET state = CASE WHEN $3 > 0 THEN 'waiting' ELSE 'ready' END::quire.job_state,
              n_pages = ($6::bigint[])[1], attempt = attempt - 1, losses = $4,
              due = CASE WHEN $3 > 0 THEN now() + $3 * interval '1 second' END, \(JobSQL.noLease)
            WHERE batch_id = $1 AND id = $2
            """,
            key + [
                .double(delay), .int(losses), .ints(ranges.map(\.lowerBound)), .ints(ranges.map(\.count)),
            ])
    }

    private static func quarantine(
        reason: String, _ key: [SQLValue], _ connection: Connection
    ) throws(DatabaseError) {
        let rows = try connection.query(
            """
            WITH gone AS (DELETE FROM quire.job WHERE batch_id = $1 AND id = $2 RETURNING *),
            stored AS (
              INSERT INTO quire.page
                (document_id, page_no, state, attempt, token, worker_id, mode, prompt, engine_version, error)
              SELECT document_id, first_page, 'quarantined', attempt, token, worker_id, override_mode, override_prompt,
                $3, $4
              FROM gone ON CONFLICT DO NOTHING)
            SELECT document_id, first_page FROM gone
            """, key + [.text(QuireVersion.current), .text(reason)])
        guard var row = rows.first else { return }
        // Another batch may have settled the page meanwhile: what the table says is what counts.
        try connection.query(
            """
            INSERT INTO quire.tally_delta (batch_id, document_id, done, blank, failed, quarantined, worked)
            SELECT $1, document_id, (state = 'done')::int, (state = 'blank')::int, (state = 'failed')::int,
              (state = 'quarantined')::int, 1
            FROM quire.page WHERE document_id = $2 AND page_no = $3
            """, [key[0], .int(try row.int64()), .int(try row.int64())])
    }
}
