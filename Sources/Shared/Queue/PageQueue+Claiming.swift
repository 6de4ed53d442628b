private import SystemPackage

extension PageQueue {
    /// Makes a worker known; returns its number.
    package func register(_ worker: WorkerIdentity) async throws(DatabaseError) -> Int64 {
        let rows = try await database.query(
            """
            INSERT INTO quire.worker (name, host, boot_id, pid, process_start_ticks, device, version, model_digest)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id
            """,
            [
                .text(worker.name), .text(worker.host), .text(worker.bootID), .int(Int64(worker.pid)),
                .int(worker.processStartTicks), .text(worker.device), .text(worker.version), .text(worker.modelDigest),
            ])
        guard var row = rows.first else { throw .unexpectedAnswer(reason: "a new worker has no number.") }
        return try row.int64()
    }

    /// Tells that the worker lives, and learns which of its leases are gone; due every ten seconds.
    package func heartbeat(worker: Int64, tokens: [Int64]) async throws(DatabaseError) -> HeartbeatReply {
        let seen = try await database.query(
            "UPDATE quire.worker SET seen_at = now() WHERE id = $1 AND ended_at IS NULL RETURNING should_drain",
            [.int(worker)])
        guard var row = seen.first else {
            return HeartbeatReply(lostTokens: Set(tokens), shouldDrain: false, isUnknown: true)
        }
        let shouldDrain = try row.bool()
        guard !tokens.isEmpty else { return HeartbeatReply(lostTokens: [], shouldDrain: shouldDrain, isUnknown: false) }
        let rows = try await database.query(
            """
            SELECT t.token FROM unnest($2::bigint[]) t(token) WHERE NOT EXISTS (
              SELECT FROM quire.job j WHERE j.worker_id = $1 AND j.state = 'leased' AND j.token = t.token)
            """, [.int(worker), .ints(tokens)])
        var lost: Set<Int64> = []
        for var row in rows { lost.insert(try row.int64()) }
        return HeartbeatReply(lostTokens: lost, shouldDrain: shouldDrain, isUnknown: false)
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

    /// Leases the next range of pages that this model can do; nil if there is none now.
    ///
    /// `roots` names those that the worker can reach: batches under others are left to other workers; nil means all.
    /// Batches of the highest priority come first, and share by weight among themselves. The lease ends `leaseSeconds`
    /// after the claim or the last pages recorded.
    package func claim(
        worker: Int64, modelDigest: String, roots: [String]? = nil, leaseSeconds: Double
    ) async throws(DatabaseError) -> Lease? {
        // The token is drawn first: should the answer to the claim be lost, it finds the job again.
        var tokens = try await database.query("SELECT nextval('quire.lease_token')")
        guard !tokens.isEmpty else { throw .unexpectedAnswer(reason: "no lease token.") }
        let token = try tokens[0].int64()
        return try await database.run { connection throws(DatabaseError) in
            try connection.query(
                Self.claimSQL,
                [
                    .int(worker), .text(modelDigest), .int(token), .double(leaseSeconds),
                    roots.map { .texts($0) } ?? .null,
                ])
            return try Self.lease(token: token, worker: worker, connection)
        }
    }

    /// The roots of open batches of this model that have work.
    package func rootsWithWork(modelDigest: String) async throws(DatabaseError) -> Set<String> {
        let rows = try await database.query(
            """
            SELECT DISTINCT b.source_root FROM quire.batch b JOIN quire.pipeline p ON p.id = b.pipeline_id
            WHERE b.state = 'open' AND b.has_jobs AND p.model_digest = $1
            """, [.text(modelDigest)])
        var roots: Set<String> = []
        for var row in rows { roots.insert(try row.text()) }
        return roots
    }

    /// $1 worker, $2 model digest, $3 token, $4 lease seconds, $5 roots or NULL.
    package static let claimSQL = """
        WITH batches AS MATERIALIZED (
          SELECT b.id FROM quire.batch b JOIN quire.pipeline p ON p.id = b.pipeline_id
          WHERE b.state = 'open' AND b.has_jobs AND p.model_digest = $2
            AND ($5::text[] IS NULL OR b.source_root = ANY ($5::text[]))
            AND EXISTS (SELECT FROM quire.worker w WHERE w.id = $1 AND w.ended_at IS NULL AND NOT w.should_drain)
            AND NOT EXISTS (
              SELECT FROM quire.job j WHERE j.worker_id = $1 AND j.state = 'leased' AND j.token = $3)
          ORDER BY b.priority DESC, -ln(1 - random()) / b.weight),
        chosen AS MATERIALIZED (
          SELECT b.id AS batch_id, j.id FROM batches b CROSS JOIN LATERAL (
            SELECT j.id FROM quire.job j WHERE j.batch_id = b.id AND j.state = 'ready'
            ORDER BY j.id LIMIT 1 FOR UPDATE SKIP LOCKED) j
          LIMIT 1)
        UPDATE quire.job j SET state = 'leased', token = $3, worker_id = $1, attempt = j.attempt + 1,
          started_at = now(), lease_seconds = $4, lease_first = j.first_page, lease_error = NULL,
          due = now() + $4 * interval '1 second'
        FROM chosen c WHERE j.batch_id = c.batch_id AND j.id = c.id
        """

    private static func lease(
        token: Int64, worker: Int64, _ connection: Connection
    ) throws(DatabaseError) -> Lease? {
        let rows = try connection.query(
            """
            SELECT j.batch_id, j.id, j.document_id, d.sha256, d.format, f.root, f.path, f.size, f.modified_ns,
              j.first_page, j.n_pages, j.attempt, p.model_digest, coalesce(j.override_mode, p.mode),
              coalesce(j.override_prompt, p.prompt), p.max_new_tokens, p.pdf_dpi, p.engine_version
            FROM quire.job j
            JOIN quire.document d ON d.id = j.document_id
            JOIN quire.pipeline p ON p.id = d.pipeline_id
            CROSS JOIN LATERAL (
              SELECT * FROM quire.batch_file f WHERE f.batch_id = j.batch_id AND f.document_id = j.document_id
              ORDER BY f.id LIMIT 1) f
            WHERE j.worker_id = $1 AND j.state = 'leased' AND j.token = $2
            """, [.int(worker), .int(token)])
        guard var row = rows.first else { return nil }
        let (batch, job, document) = (try row.int64(), try row.int64(), try row.int64())
        let (sha256, format) = (try row.digest(), try row.label(DocumentFormat.self))
        let file = try row.location()
        let stamp = FileStamp(size: try row.int64(), modifiedNanoseconds: try row.int64())
        let first = try row.int()
        let last = first + (try row.int()) - 1
        let attempt = try row.int()
        let pipeline = try row.pipeline()
        let recordedRows = try connection.query(
            "SELECT page_no FROM quire.page WHERE document_id = $1 AND page_no BETWEEN $2 AND $3",
            [.int(document), .int(first), .int(last)])
        var recorded: Set<Int> = []
        for var row in recordedRows { recorded.insert(try row.int()) }
        return Lease(
            batchID: batch, jobID: job, token: token, documentID: document, sha256: sha256, format: format, file: file,
            stamp: stamp, pages: first...last, recordedElsewhere: recorded, attempt: attempt, pipeline: pipeline)
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
