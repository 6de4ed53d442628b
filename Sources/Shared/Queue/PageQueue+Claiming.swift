private import Synchronization
private import SystemPackage

extension PageQueue {
    /// Makes a worker known; returns its number.
    package func register(_ worker: WorkerIdentity) async throws(DatabaseError) -> Int64 {
        let rows = try await database.query(
            """
            INSERT INTO quire.worker (name, host, boot_id, pid, process_start_ticks, device, version, model_digest,
              roots, engine_version, precision, pid_namespace)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id
            """,
            [
                .text(worker.name), .text(worker.host), .text(worker.bootID), .int(Int64(worker.pid)),
                .int(worker.processStartTicks), .text(worker.device), .text(worker.version), .text(worker.modelDigest),
                worker.roots.map { .texts($0) } ?? .null, .text(worker.engineVersion), .text(worker.precision),
                worker.pidNamespace.map { .int($0) } ?? .null,
            ])
        guard var row = rows.first else { throw .unexpectedAnswer(reason: "a new worker has no number.") }
        return try row.int64()
    }

    /// Tells that the worker lives and how it is, and learns which of its leases are gone; due every ten seconds.
    ///
    /// `tokens` are those of all leases that it holds: none of them is lost while it lives. What the queue has for it besides, and had at its
    /// last heartbeat, goes back, unless it was claimed under one of `keys`, whose answers are still due. A token must be
    /// among `tokens` no later than its key has left `keys`. `unwell` says in a sentence why the worker claims nothing now.
    package func heartbeat(
        worker: Int64, tokens: [Int64], keys: [Int64] = [], unwell: String? = nil
    ) async throws(DatabaseError) -> HeartbeatReply {
        let rows = try await database.query(
            "SELECT token, should_drain, given_back FROM quire.heartbeat($1, $2, $3, $4)",
            [.int(worker), .ints(tokens), .ints(keys), .text(unwell)])
        guard !rows.isEmpty else {
            return HeartbeatReply(lostTokens: Set(tokens), shouldDrain: false, isUnknown: true)
        }
        var reply = HeartbeatReply(lostTokens: [], shouldDrain: false, isUnknown: false)
        for var row in rows {
            if let token = try row.optionalInt64() { reply.lostTokens.insert(token) }
            reply.shouldDrain = try row.bool()
            reply.givenBack = try row.int()
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

    /// Notes that a lease's file cannot be read here, though the machine is well, and gives its pages back without
    /// counting an attempt: another file of the same content is tried next.
    ///
    /// `isAbsent`: its folder may be a mount point without its mount; it is tried again every minute, and never given up.
    package func report(
        fileFault reason: String, isAbsent: Bool = false, lease: Lease, worker: Int64
    ) async throws(DatabaseError) -> FaultReceipt {
        let rows = try await database.query(
            "SELECT quire.fault_file($1, $2, $3, $4, $5, $6, $7)",
            [
                .int(worker), .int(lease.batchID), .int(lease.jobID), .int(lease.token), .int(lease.fileID),
                .text(reason), .bool(isAbsent),
            ])
        guard var row = rows.first else { throw .unexpectedAnswer(reason: "no word of what became of a lease.") }
        return try row.label()
    }

    /// Other files that lie beside a lease's and had no fault: where one of them can be read, the folder is there.
    package func witnesses(for lease: Lease, limit: Int) async throws(DatabaseError) -> [SourceLocation] {
        let rows = try await database.query(
            """
            SELECT w.root, w.path FROM quire.batch_file l CROSS JOIN LATERAL (
              (SELECT f.root, f.path FROM quire.batch_file f
                WHERE f.batch_id = l.batch_id AND f.document_id > $2 AND f.fault_count = 0 AND f.gone_at IS NULL
                  AND f.root = l.root
                ORDER BY f.document_id LIMIT $3)
              UNION ALL
              (SELECT f.root, f.path FROM quire.batch_file f
                WHERE f.batch_id = l.batch_id AND f.document_id < $2 AND f.fault_count = 0 AND f.gone_at IS NULL
                  AND f.root = l.root
                ORDER BY f.document_id DESC LIMIT $3)) w
            WHERE l.id = $1 LIMIT $4
            """,
            [.int(lease.fileID), .int(lease.documentID), .int((limit + 1) / 2), .int(limit)])
        var witnesses: [SourceLocation] = []
        for var row in rows { witnesses.append(try row.location()) }
        return witnesses
    }

    /// Leases the next range of pages that this model, engine and precision can do; nil if there is none now.
    ///
    /// `roots` names those that the worker can reach: batches under others are left to other workers; nil means all.
    /// `excluded` are batches whose folders it cannot see. Batches of the highest priority come first, and share by weight
    /// among themselves. The lease ends `leaseSeconds` after the claim, the last heartbeat that renewed it or the last pages
    /// recorded.
    ///
    /// Should the answer be lost, the same `key` finds the job again: `isRepeated` says that it was used before.
    package func claim(
        worker: Int64, modelDigest: String, roots: [String]? = nil, leaseSeconds: Double,
        excluding excluded: Set<Int64> = [],
        key: Int64 = .random(in: 1...Int64.max), isRepeated: Bool = false
    ) async throws(DatabaseError) -> Lease? {
        let attempts = Attempts(hasBegun: isRepeated)
        return try await database.run { connection throws(DatabaseError) in
            let rows = try connection.query(
                """
                SELECT batch_id, job_id, token, document_id, sha256, format, root, path, size, modified_ns, changed_ns,
                  first_page, n_pages, attempt, model_digest, mode, prompt, max_new_tokens, pdf_dpi, engine_version, weights,
                  max_attempts, retry_seconds, recorded, must_be_alone, file_id, file_faults, page_count
                FROM quire.claim($1, $2, $3, $4, $5, $6, $7)
                """,
                [
                    .int(worker), .text(modelDigest), roots.map { .texts($0) } ?? .null, .double(leaseSeconds),
                    .int(key), .bool(attempts.isRepeated()), .ints(excluded.sorted()),
                ])
            guard let row = rows.first else { return nil }
            return try Self.lease(row)
        }
    }

    /// What open batches that have jobs ask of a worker.
    package func requirements() async throws(DatabaseError) -> Set<WorkRequirement> {
        let rows = try await database.query(
            """
            SELECT DISTINCT b.source_root, p.model_digest, p.engine_version, p.precision
            FROM quire.batch b JOIN quire.pipeline p ON p.id = b.pipeline_id WHERE b.state = 'open' AND b.has_jobs
            """)
        var requirements: Set<WorkRequirement> = []
        for var row in rows {
            requirements.insert(
                WorkRequirement(
                    root: try row.text(), modelDigest: try row.text(), engineVersion: try row.text(),
                    precision: try row.text()))
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
        let stamp = FileStamp(
            size: try row.int64(), modifiedNanoseconds: try row.int64(), changedNanoseconds: try row.optionalInt64())
        let first = try row.int()
        let last = first + (try row.int()) - 1
        let attempt = try row.int()
        let pipeline = try row.pipeline()
        let (maxAttempts, retrySeconds) = (try row.int(), try row.double())
        let recorded = try row.int()
        let mustBeAlone = try row.bool()
        let (fileID, fileFaults) = (try row.int64(), try row.int())
        return Lease(
            batchID: batch, jobID: job, token: token, documentID: document, sha256: sha256, format: format, file: file,
            stamp: stamp, pages: first...last,
            recordedElsewhere: Set((first...last).filter { recorded & (1 << ($0 - first)) != 0 }), attempt: attempt,
            pipeline: pipeline, maxAttempts: maxAttempts, retrySeconds: retrySeconds, mustBeAlone: mustBeAlone,
            fileID: fileID, fileFaults: fileFaults, pageCount: try row.int())
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
    private let hasBegun: Atomic<Bool>

    init(hasBegun: Bool) { self.hasBegun = Atomic(hasBegun) }

    /// False at the first call, but where work of before is repeated.
    func isRepeated() -> Bool { hasBegun.exchange(true, ordering: .relaxed) }
}
