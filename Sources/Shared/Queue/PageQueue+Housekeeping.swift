extension PageQueue {
    /// Seconds without a heartbeat after which a worker is taken for dead.
    package static let silenceSeconds = 45.0

    /// Changes of the counts that one transaction folds at most.
    package static let foldedAtOnce = 20_000

    /// Makes waiting jobs ready, takes back what lost workers hold, and brings the counts up to date.
    ///
    /// Each in a transaction of its own, so that one that is refused holds up no other; what was refused first is thrown at
    /// the end. Where several processes do it, one works and the others return at once. Processes that go on go by
    /// `Upkeep`, which says by `canHear` whether silence, and a lease that was not renewed, mean anything; it is told the
    /// server's time, in seconds since 1970.
    package func maintain(
        silenceSeconds: Double = silenceSeconds,
        canHear: @escaping @Sendable (_ serverTime: Double) -> Bool = { _ in true }
    ) async throws(DatabaseError) {
        let turn: [SQLValue] = [.int(AdvisoryLock.housekeeping)]
        var refusal: DatabaseError?
        do throws(DatabaseError) {
            var rows = try await database.run { connection throws(DatabaseError) in
                let hears = canHear(try Self.serverTime(connection))
                return try connection.query(
                    "SELECT quire.end_silent($1, $2)", turn + [hears ? .double(silenceSeconds) : .null])
            }
            guard !rows.isEmpty, try rows[0].bool() else { return }
        } catch { try Self.note(error, &refusal) }
        do throws(DatabaseError) { try await database.query("SELECT quire.free_due()") } catch {
            try Self.note(error, &refusal)
        }
        do throws(DatabaseError) { try await foldForAWhile() } catch { try Self.note(error, &refusal) }
        do throws(DatabaseError) { try await database.query("SELECT quire.note_batches($1)", turn) } catch {
            try Self.note(error, &refusal)
        }
        do throws(DatabaseError) { try await rescueLost(canHear) } catch { try Self.note(error, &refusal) }
        if let refusal { throw refusal }
    }

    /// Keeps the first refusal for later; throws at once where there is no connection.
    private static func note(_ error: DatabaseError, _ refusal: inout DatabaseError?) throws(DatabaseError) {
        guard case .server = error else { throw error }
        refusal = refusal ?? error
    }

    /// Folds in parts, for about two seconds where there is more.
    private func foldForAWhile() async throws(DatabaseError) {
        let end = ContinuousClock.now + .seconds(2)
        repeat {
            var rows = try await database.query(
                "SELECT quire.try_fold($1, $2)", [.int(AdvisoryLock.housekeeping), .int(Self.foldedAtOnce)])
            guard !rows.isEmpty, let folded = try rows[0].optionalInt64(), folded >= Self.foldedAtOnce else { return }
        } while ContinuousClock.now < end
    }

    private static func serverTime(_ connection: Connection) throws(DatabaseError) -> Double {
        var rows = try connection.query("SELECT extract(epoch FROM clock_timestamp())::float8")
        guard !rows.isEmpty else { throw .unexpectedAnswer(reason: "the server does not say what time it is.") }
        return try rows[0].double()
    }

    /// After the server's clock was set back: what was noted in its future is of now, and nothing waits for the whole step.
    ///
    /// Bears repetition, as all processes notice. Rows that somebody holds are just being written by the new clock.
    func forgetFuture() async throws(DatabaseError) {
        for statement in [
            "UPDATE quire.worker SET seen_at = now() WHERE ended_at IS NULL AND seen_at > now()",
            """
            WITH ahead AS MATERIALIZED (
              SELECT j.batch_id, j.id FROM quire.job j WHERE j.state = 'leased' AND j.started_at > now()
              FOR UPDATE SKIP LOCKED)
            UPDATE quire.job j SET started_at = now(), due = now() + j.lease_seconds * interval '1 second'
            FROM ahead a WHERE j.batch_id = a.batch_id AND j.id = a.id
            """,
            // When they were to be tried again is not known any more: soon does no harm.
            """
            WITH ahead AS MATERIALIZED (
              SELECT j.batch_id, j.id FROM quire.job j
              WHERE j.state = 'waiting' AND j.due < 'infinity' AND j.due > now() + interval '1 minute'
              FOR UPDATE SKIP LOCKED)
            UPDATE quire.job j SET due = now() + interval '1 minute' FROM ahead a WHERE j.batch_id = a.batch_id AND j.id = a.id
            """,
            """
            WITH ahead AS MATERIALIZED (
              SELECT f.id FROM quire.batch_file f WHERE f.fault_at > now() FOR NO KEY UPDATE SKIP LOCKED)
            UPDATE quire.batch_file f SET fault_at = now() FROM ahead a WHERE f.id = a.id
            """,
        ] { try await database.query(statement) }
    }

    private func rescueLost(_ canHear: @escaping @Sendable (Double) -> Bool) async throws(DatabaseError) {
        var rows = try await database.run { connection throws(DatabaseError) in
            try connection.query(
                "SELECT quire.has_lost_leases($1)", [.bool(canHear(try Self.serverTime(connection)))])
        }
        guard !rows.isEmpty, try rows[0].bool() else { return }
        try await database.transaction { connection throws(DatabaseError) in
            try Self.rescue(
                connection,
                where: "quire.is_lost(j.worker_id, j.token, j.due, $1)",
                [.bool(canHear(try Self.serverTime(connection)))])
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

    /// A worker as whoever shares its host can look for its process.
    package struct HostWorker: Sendable {
        package var id: Int64
        package var pid: Int32
        package var processStartTicks: Int64
        package var bootID: String
        /// Within which the process number means something; nil for workers of earlier versions.
        package var pidNamespace: Int64?
    }

    /// Workers that are registered and not known to have ended, on one host since its last start.
    package func workersOnHost(bootID: String, host: String) async throws(DatabaseError) -> [HostWorker] {
        try await database.run { connection throws(DatabaseError) in
            let rows = try connection.query(
                """
                SELECT id, pid, process_start_ticks, boot_id, pid_namespace FROM quire.worker
                WHERE ended_at IS NULL AND (boot_id = $1 OR host = $2) ORDER BY id
                """, [.text(bootID), .text(host)])
            var workers: [HostWorker] = []
            for var row in rows {
                let (id, pid) = (try row.int64(), Int32(truncatingIfNeeded: try row.int64()))
                let (ticks, boot) = (try row.int64(), try row.text())
                workers.append(
                    HostWorker(
                        id: id, pid: pid, processStartTicks: ticks, bootID: boot,
                        pidNamespace: try row.optionalInt64()))
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
        try connection.query(
            "SELECT quire.quarantine($1, $2, $3, $4, $5)",
            key + [.text(QuireVersion.engine), .text(QuireVersion.current), .text(reason)])
    }
}
