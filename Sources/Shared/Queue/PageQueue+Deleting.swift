/// What of a batch was taken away, or would be.
package struct DeletionCounts: Sendable, Equatable {
    package var documents = 0
    /// Those of the documents that no other batch has: their results go.
    package var ownDocuments = 0
    package var results = 0

    package init() {}
}

extension PageQueue {
    /// Pages that one transaction takes away at most, but for a document that has more.
    private static let deletionChunk = 5000

    /// What `deleteBatch` would take away.
    package func deletion(of batch: Int64) async throws(DatabaseError) -> DeletionCounts {
        let rows = try await database.query(
            """
            WITH held AS (
              SELECT d.document_id, NOT EXISTS (SELECT FROM quire.batch_document o
                WHERE o.document_id = d.document_id AND o.batch_id <> $1) AS is_own
              FROM (
                SELECT document_id FROM quire.batch_document WHERE batch_id = $1
                UNION
                SELECT document_id FROM quire.batch_file
                WHERE batch_id = $1 AND document_id IS NOT NULL AND gone_at IS NOT NULL) d)
            SELECT count(*), count(*) FILTER (WHERE is_own), coalesce(sum((
              SELECT count(*) FROM quire.page p WHERE p.document_id = h.document_id)) FILTER (WHERE is_own), 0)::bigint
            FROM held h
            """, [.int(batch)])
        guard var row = rows.first else { throw .unexpectedAnswer(reason: "a count is missing.") }
        var counts = DeletionCounts()
        counts.documents = try row.int()
        counts.ownDocuments = try row.int()
        counts.results = try row.int()
        return counts
    }

    /// Takes a batch away with its files and attempts, and with those results that no other batch has a part in.
    ///
    /// Done in parts; where it is interrupted, the same call goes on. Until it has come to its end, every other order
    /// about the batch is refused: what it would add would be left behind.
    package func deleteBatch(_ batch: Int64) async throws(DatabaseError) -> DeletionCounts {
        try await beginDeleting(batch)
        var total = DeletionCounts()
        while let part = try await deleteDocuments(of: batch) {
            total.documents += part.documents
            total.ownDocuments += part.ownDocuments
            total.results += part.results
        }
        let key: [SQLValue] = [.int(batch)]
        // Files that hold no document.
        while try await !database.query(
            """
            DELETE FROM quire.batch_file WHERE id IN (SELECT id FROM quire.batch_file WHERE batch_id = $1 LIMIT 5000)
            RETURNING id
            """, key
        ).isEmpty {}
        _ = try await prune(batches: [batch], olderThan: -60, replaced: false, isTrial: false)
        try await database.transaction { connection throws(DatabaseError) in
            _ = try Self.lockBatch(batch, isDeleting: true, connection)
            // There should be none; what there is would otherwise have no batch for ever.
            try JobSQL.deleteAll(connection, where: "batch_id = $1", key)
            try TallyFold.lock(connection)
            for table in ["tally_delta", "throughput", "tally"] {
                try connection.query("DELETE FROM quire.\(table) WHERE batch_id = $1", key)
            }
            try connection.query("DELETE FROM quire.batch WHERE id = $1", key)
        }
        return total
    }

    /// Closes the batch to all orders but its deletion, and takes its jobs away: results of its leases are refused.
    package func beginDeleting(_ batch: Int64) async throws(DatabaseError) {
        try await database.transaction { connection throws(DatabaseError) in
            guard try Self.lockBatch(batch, isDeleting: true, connection) != .deleting else { return }
            try connection.query("UPDATE quire.batch SET state = 'deleting' WHERE id = $1", [.int(batch)])
            try JobSQL.deleteAll(connection, where: "batch_id = $1", [.int(batch)])
        }
    }

    /// Takes the next documents out of the batch, those of its files that are gone too; nil when none is left.
    ///
    /// The documents' own rows stay: a submission may just be looking at them.
    private func deleteDocuments(of batch: Int64) async throws(DatabaseError) -> DeletionCounts? {
        try await database.transaction { connection throws(DatabaseError) in
            let rows = try connection.query(
                """
                SELECT document_id FROM (
                  SELECT document_id, sum(page_count) OVER (ORDER BY document_id) - page_count AS before FROM (
                    (SELECT document_id, page_count FROM quire.batch_document WHERE batch_id = $1
                     ORDER BY document_id LIMIT 500)
                    UNION
                    (SELECT d.id, d.page_count FROM quire.document d WHERE d.id IN (
                       SELECT document_id FROM quire.batch_file
                       WHERE batch_id = $1 AND document_id IS NOT NULL AND gone_at IS NOT NULL
                       ORDER BY document_id LIMIT 500))) d) d
                WHERE before < $2
                """, [.int(batch), .int(Self.deletionChunk)])
            var documents: [Int64] = []
            for var row in rows { documents.append(try row.int64()) }
            guard !documents.isEmpty else { return nil }
            // Submissions of the same contents wait, as they do for a retry.
            try connection.query(
                "SELECT FROM quire.document WHERE id = ANY ($1::bigint[]) ORDER BY id FOR NO KEY UPDATE",
                [.ints(documents)])
            let own = try connection.query(
                """
                SELECT id FROM unnest($2::bigint[]) d(id) WHERE NOT EXISTS (
                  SELECT FROM quire.batch_document o WHERE o.document_id = d.id AND o.batch_id <> $1)
                """, [.int(batch), .ints(documents)])
            var ownDocuments: [Int64] = []
            for var row in own { ownDocuments.append(try row.int64()) }
            var counts = DeletionCounts()
            counts.documents = documents.count
            counts.ownDocuments = ownDocuments.count
            for table in ["page_figure", "page_history", "page"] {
                let gone = try connection.query(
                    """
                    WITH gone AS (DELETE FROM quire.\(table) WHERE document_id = ANY ($1::bigint[]) RETURNING 1)
                    SELECT count(*) FROM gone
                    """, [.ints(ownDocuments)])
                if table == "page", var row = gone.first { counts.results = try row.int() }
            }
            for table in ["batch_file", "batch_document"] {
                try connection.query(
                    "DELETE FROM quire.\(table) WHERE batch_id = $1 AND document_id = ANY ($2::bigint[])",
                    [.int(batch), .ints(documents)])
            }
            return counts
        }
    }
}
