private import Synchronization
private import SystemPackage

extension PageQueue {
    /// Makes a worker known; returns its number.
    package func register(_ worker: WorkerIdentity) async throws(DatabaseError) -> Int64 {
        let rows = try await database.query(
            """
            INSERT INTO quire.worker (name, host, boot_id, pid, process_start_ticks, device, version, model_digest,
              roots)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id
            """,
            [
                .text(worker.name), .text(worker.host), .text(worker.bootID), .int(Int64(worker.pid)),
                .int(worker.processStartTicks), .text(worker.device), .text(worker.version), .text(worker.modelDigest),
                worker.roots.map { .texts($0) } ?? .null,
            ])
        guard var row = rows.first else { throw .unexpectedAnswer(reason: "a new worker has no number.") }
        return try row.int64()
    }

    /// Tells that the worker lives, and learns which of its leases are gone; due every ten seconds.
    package func heartbeat(worker: Int64, tokens: [Int64]) async throws(DatabaseError) -> HeartbeatReply {
        let rows = try await database.query(
            """
            WITH seen AS (
              UPDATE quire.worker SET seen_at = now() WHERE id = $1 AND ended_at IS NULL RETURNING should_drain)
            SELECT s.should_drain, l.token FROM seen s LEFT JOIN (
              SELECT t.token FROM unnest($2::bigint[]) t(token) WHERE NOT EXISTS (
                SELECT FROM quire.job j WHERE j.worker_id = $1 AND j.state = 'leased' AND j.token = t.token)) l ON true
            """, [.int(worker), .ints(tokens)])
        guard !rows.isEmpty else {
            return HeartbeatReply(lostTokens: Set(tokens), shouldDrain: false, isUnknown: true)
        }
        var reply = HeartbeatReply(lostTokens: [], shouldDrain: false, isUnknown: false)
        for var row in rows {
            reply.shouldDrain = try row.bool()
            if let token = try row.optionalInt64() { reply.lostTokens.insert(token) }
        }
        return reply
    }

    /// Gives back what the worker still holds, without counting an attempt, and forgets it.
    package func unregister(worker: Int64) async throws(DatabaseError) {
        try await database.transaction { connection throws(DatabaseError) in
            try connection.query(
                "UPDATE quire.worker SET ended_at = now() WHERE id = $1 AND ended_at IS NULL", [.int(worker)])
            try Self.giveBack(connection, where: "worker_id = $1", [.int(worker)])
        }
    }

    /// Gives a lease's pages back without counting an attempt; nothing happens if the lease is lost.
    package func release(_ lease: Lease, worker: Int64) async throws(DatabaseError) {
        try await database.run { connection throws(DatabaseError) in
            try Self.giveBack(
                connection, where: "worker_id = $1 AND token = $2", [.int(worker), .int(lease.token)])
        }
    }

    /// Leases the next range of pages that this model and this version can do; nil if there is none now.
    ///
    /// `roots` names those that the worker can reach: batches under others are left to other workers; nil means all.
    /// Batches of the highest priority come first, and share by weight among themselves. The lease ends `leaseSeconds`
    /// after the claim or the last pages recorded.
    package func claim(
        worker: Int64, modelDigest: String, roots: [String]? = nil, leaseSeconds: Double
    ) async throws(DatabaseError) -> Lease? {
        // Should the answer to the claim be lost, its key finds the job again.
        let key = Int64.random(in: 1...Int64.max)
        let attempts = Attempts()
        return try await database.run { connection throws(DatabaseError) in
            let rows = try connection.query(
                "SELECT * FROM quire.claim($1, $2, $3, $4, $5, $6)",
                [
                    .int(worker), .text(modelDigest), roots.map { .texts($0) } ?? .null, .double(leaseSeconds),
                    .int(key), .bool(attempts.isRepeated()),
                ])
            guard let row = rows.first else { return nil }
            return try Self.lease(row)
        }
    }

    /// What open batches that have jobs ask of a worker.
    package func requirements() async throws(DatabaseError) -> Set<WorkRequirement> {
        let rows = try await database.query(
            """
            SELECT DISTINCT b.source_root, p.model_digest, p.engine_version
            FROM quire.batch b JOIN quire.pipeline p ON p.id = b.pipeline_id WHERE b.state = 'open' AND b.has_jobs
            """)
        var requirements: Set<WorkRequirement> = []
        for var row in rows {
            requirements.insert(
                WorkRequirement(
                    root: try row.text(), modelDigest: try row.text(), engineVersion: try row.text()))
        }
        return requirements
    }

    /// A row of `quire.claim`.
    private static func lease(_ row: Row) throws(DatabaseError) -> Lease {
        var row = row
        let (batch, job, token) = (try row.int64(), try row.int64(), try row.int64())
        let document = try row.int64()
        let (sha256, format) = (try row.digest(), try row.label(DocumentFormat.self))
        let file = try row.location()
        let stamp = FileStamp(size: try row.int64(), modifiedNanoseconds: try row.int64())
        let first = try row.int()
        let last = first + (try row.int()) - 1
        let attempt = try row.int()
        let pipeline = try row.pipeline()
        let (maxAttempts, retrySeconds) = (try row.int(), try row.double())
        let recorded = try row.int()
        return Lease(
            batchID: batch, jobID: job, token: token, documentID: document, sha256: sha256, format: format, file: file,
            stamp: stamp, pages: first...last,
            recordedElsewhere: Set((first...last).filter { recorded & (1 << ($0 - first)) != 0 }), attempt: attempt,
            pipeline: pipeline, maxAttempts: maxAttempts, retrySeconds: retrySeconds, mustBeAlone: try row.bool())
    }

    private static func giveBack(
        _ connection: Connection, where condition: String, _ parameters: [SQLValue]
    ) throws(DatabaseError) {
        try connection.query(
            """
            WITH held AS MATERIALIZED (
              SELECT * FROM quire.job WHERE state = 'leased' AND \(condition) ORDER BY batch_id, id FOR UPDATE),
            ended AS (
              INSERT INTO quire.attempt (\(JobSQL.attemptColumns), outcome)
              SELECT \(JobSQL.attemptValues), 'released' FROM held)
            UPDATE quire.job j SET state = 'ready', due = NULL, attempt = h.attempt - 1, \(JobSQL.noLease)
            FROM held h WHERE j.batch_id = h.batch_id AND j.id = h.id
            """, parameters)
    }
}

/// Tells the first run of work that may be repeated from the others.
private final class Attempts: Sendable {
    private let hasBegun = Atomic<Bool>(false)

    /// False at the first call.
    func isRepeated() -> Bool { hasBegun.exchange(true, ordering: .relaxed) }
}
