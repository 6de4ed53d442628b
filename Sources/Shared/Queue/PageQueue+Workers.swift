extension PageQueue {
    /// Whether another worker that claims pages of this batch lives and is not unwell.
    package func areOthersWell(for batch: Batch, besides worker: Int64) async throws(DatabaseError) -> Bool {
        let rows = try await database.query(
            """
            SELECT FROM quire.worker w
            WHERE w.id <> $1 AND w.ended_at IS NULL AND NOT w.should_drain AND w.unwell IS NULL
              AND w.seen_at > now() - $2::float8 * interval '1 second' AND w.model_digest = $3
              AND coalesce(w.engine_version, w.version) = $4 AND coalesce(w.precision, 'bf16') = $5
              AND (w.roots IS NULL OR $6 = ANY (w.roots)) LIMIT 1
            """,
            [
                .int(worker), .double(Self.silenceSeconds), .text(batch.pipeline.modelDigest),
                .text(batch.pipeline.engineVersion), .text(batch.pipeline.precision), .text(batch.source.root),
            ])
        return !rows.isEmpty
    }

    /// All workers that have not ended, and the latest so many that have, oldest first.
    package func workerActivity(includingEnded limit: Int) async throws(DatabaseError) -> [WorkerActivity] {
        let rows = try await database.query(
            """
            SELECT w.id, w.name, w.host, w.pid, w.device, w.version, w.model_digest,
              coalesce(w.engine_version, w.version), coalesce(w.precision, 'bf16'), w.unwell, \(Self.utc("w.unwell_since")),
              array_to_string(w.roots, E'\\x1F'), w.ended_at IS NOT NULL, w.should_drain,
              extract(epoch FROM now() - w.seen_at)::float8, \(Self.utc("w.registered_at")), \(Self.utc("w.ended_at")),
              j.pages, j.handed_over + (SELECT coalesce(sum(a.n_pages), 0)::bigint FROM quire.attempt a
                WHERE a.worker_id = w.id AND a.outcome IN ('done', 'partial'))
            FROM (
              SELECT * FROM quire.worker WHERE ended_at IS NULL
              UNION ALL
              (SELECT * FROM quire.worker WHERE ended_at IS NOT NULL ORDER BY id DESC LIMIT $1)) w
            CROSS JOIN LATERAL (
              SELECT coalesce(sum(n_pages), 0)::bigint AS pages,
                coalesce(sum(first_page - lease_first), 0)::bigint AS handed_over
              FROM quire.job j WHERE j.worker_id = w.id AND j.state = 'leased') j
            ORDER BY w.id
            """, [.int(limit)])
        var workers: [WorkerActivity] = []
        for var row in rows {
            let (id, name, host) = (try row.int64(), try row.text(), try row.text())
            let pid = Int32(truncatingIfNeeded: try row.int64())
            let (device, version, digest) = (try row.text(), try row.text(), try row.text())
            let (engine, precision) = (try row.text(), try row.text())
            let (unwell, unwellSince) = (try row.optionalText(), try row.optionalText())
            let roots = Self.roots(try row.optionalText())
            let (hasEnded, shouldDrain) = (try row.bool(), try row.bool())
            let seconds = try row.double()
            let (registeredAt, endedAt) = (try row.text(), try row.optionalText())
            let pagesInHand = try row.int()
            workers.append(
                WorkerActivity(
                    id: id, name: name, host: host, pid: pid, device: device, version: version, modelDigest: digest,
                    roots: roots, engineVersion: engine, precision: precision,
                    state: WorkerActivity.state(
                        hasEnded: hasEnded, shouldDrain: shouldDrain, secondsSinceSeen: seconds,
                        pagesInHand: pagesInHand, isUnwell: unwell != nil),
                    unwell: unwell, unwellSince: unwellSince,
                    secondsSinceSeen: seconds, pagesInHand: pagesInHand, pagesDone: try row.int(),
                    registeredAt: registeredAt, endedAt: endedAt))
        }
        return workers
    }

    /// Names of roots, which are joined by a character that none of them has.
    static func roots(_ text: String?) -> [String]? {
        text.map { $0.split(separator: "\u{1F}").map(String.init) }
    }
}
