private import SystemPackage

extension PageQueue {
    /// Finds or makes the batch of a folder and a pipeline.
    ///
    /// Without a name: the latest batch of this source and pipeline, else a new one named for the folder (`archive`,
    /// `archive-2`, ...). With a name: that batch, and `batchConflict` where it has another source or pipeline. A batch
    /// that exists keeps its priority and weight.
    package func openBatch(
        name: String?, source: SourceLocation, pipeline: Pipeline, priority: Int, weight: Double = 1
    ) async throws(DatabaseError) -> (batch: Batch, isNew: Bool) {
        try await database.transaction { connection throws(DatabaseError) in
            try connection.query("SELECT pg_advisory_xact_lock($1)", [.int(AdvisoryLock.batches)])
            let pipelineID = try Self.pipelineID(pipeline, connection)
            if let name {
                if let known = try Self.batches(connection, where: "b.name = $1", [.text(name)]).first {
                    if let reason = Self.conflict(of: known, source: source, pipeline: pipeline) {
                        throw .batchConflict(reason: reason)
                    }
                    if known.state == .deleting { throw .isBeingDeleted(known.name) }
                    return (known, false)
                }
            } else if let known = try Self.batches(
                connection, where: "b.source_root = $1 AND b.source_path = $2 AND b.pipeline_id = $3",
                [.text(source.root), .bytes(source.path.bytes), .int(pipelineID)]
            ).last {
                if known.state == .deleting { throw .isBeingDeleted(known.name) }
                return (known, false)
            }
            let free: String
            if let name { free = name } else { free = try Self.freeName(for: source, connection) }
            let rows = try connection.query(
                """
                WITH made AS (
                  INSERT INTO quire.batch (name, priority, source_root, source_path, pipeline_id, weight)
                  VALUES ($1, $2, $3, $4, $5, $6) RETURNING id),
                tallied AS (INSERT INTO quire.tally (batch_id) SELECT id FROM made)
                SELECT id FROM made
                """,
                [
                    .text(free), .int(priority), .text(source.root), .bytes(source.path.bytes), .int(pipelineID),
                    .double(weight),
                ])
            guard var row = rows.first else { throw .unexpectedAnswer(reason: "a new batch has no number.") }
            let batch = Batch(
                id: try row.int64(), name: free, state: .open, priority: priority, pipeline: pipeline, source: source)
            return (batch, true)
        }
    }

    /// All batches, oldest first.
    package func batches() async throws(DatabaseError) -> [Batch] {
        try await database.run { connection throws(DatabaseError) in try Self.batches(connection, where: "true", []) }
    }

    /// The batch of that name, if there is one.
    package func batch(named name: String) async throws(DatabaseError) -> Batch? {
        try await database.run { connection throws(DatabaseError) in
            try Self.batches(connection, where: "b.name = $1", [.text(name)]).first
        }
    }

    /// The batch of that number, if there is one.
    package func batch(id: Int64) async throws(DatabaseError) -> Batch? {
        try await database.run { connection throws(DatabaseError) in
            try Self.batches(connection, where: "b.id = $1", [.int(id)]).first
        }
    }

    /// Batches by number; `condition` may use the parameters.
    static func batches(
        _ connection: Connection, where condition: String, _ parameters: [SQLValue]
    ) throws(DatabaseError) -> [Batch] {
        let rows = try connection.query(
            """
            SELECT b.id, b.name, b.state, b.priority, b.source_root, b.source_path,
              p.model_digest, p.mode, p.prompt, p.max_new_tokens, p.pdf_dpi, p.engine_version, p.precision
            FROM quire.batch b JOIN quire.pipeline p ON p.id = b.pipeline_id
            WHERE \(condition) ORDER BY b.id
            """, parameters)
        var batches: [Batch] = []
        for var row in rows {
            let (id, name, state) = (try row.int64(), try row.text(), try row.label(BatchState.self))
            let priority = try row.int()
            let source = try row.location()
            batches.append(
                Batch(
                    id: id, name: name, state: state, priority: priority, pipeline: try row.pipeline(), source: source))
        }
        return batches
    }

    private static func pipelineID(_ pipeline: Pipeline, _ connection: Connection) throws(DatabaseError) -> Int64 {
        let fields: [SQLValue] = [
            .text(pipeline.modelDigest), .text(pipeline.mode), .text(pipeline.prompt), .int(pipeline.maxNewTokens),
            .int(pipeline.pdfDPI), .text(pipeline.engineVersion), .text(pipeline.precision),
        ]
        try connection.query(
            """
            INSERT INTO quire.pipeline (model_digest, mode, prompt, max_new_tokens, pdf_dpi, engine_version, precision)
            VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING
            """, fields)
        let rows = try connection.query(
            """
            SELECT id FROM quire.pipeline WHERE model_digest = $1 AND mode = $2 AND md5(prompt) = md5($3)
              AND max_new_tokens = $4 AND pdf_dpi = $5 AND engine_version = $6
              AND precision = $7
            """, fields)
        guard var row = rows.first else { throw .unexpectedAnswer(reason: "a pipeline just stored is not there.") }
        return try row.int64()
    }

    private static func freeName(
        for source: SourceLocation, _ connection: Connection
    ) throws(DatabaseError) -> String {
        let base = Batch.baseName(of: source)
        var number = 1
        while true {
            let name = number == 1 ? base : "\(base)-\(number)"
            if try connection.query("SELECT FROM quire.batch WHERE name = $1", [.text(name)]).isEmpty { return name }
            number += 1
        }
    }

    private static func conflict(of batch: Batch, source: SourceLocation, pipeline: Pipeline) -> String? {
        guard batch.source == source else {
            return "The batch \(batch.name) holds another folder (\(batch.source.path.displayText)). "
                + "Choose another name with --name."
        }
        let pairs: [(String, Bool)] = [
            ("model", batch.pipeline.modelDigest == pipeline.modelDigest),
            ("mode", batch.pipeline.mode == pipeline.mode),
            ("prompt", batch.pipeline.prompt == pipeline.prompt),
            ("token limit", batch.pipeline.maxNewTokens == pipeline.maxNewTokens),
            ("resolution of PDF pages", batch.pipeline.pdfDPI == pipeline.pdfDPI),
            ("version of Quire's engine", batch.pipeline.engineVersion == pipeline.engineVersion),
            ("precision", batch.pipeline.precision == pipeline.precision),
        ]
        let differing = pairs.filter { !$0.1 }.map(\.0)
        guard !differing.isEmpty else { return nil }
        return "The batch \(batch.name) was submitted with another \(differing.joined(separator: ", another ")). "
            + "Choose another name with --name."
    }
}
