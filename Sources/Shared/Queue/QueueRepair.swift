/// Mends what `QueueCheck` finds, in small transactions, beside workers that work.
package struct QueueRepair: Sendable {
    private let queue: PageQueue

    package init(_ queue: PageQueue) { self.queue = queue }

    /// Documents that one transaction mends.
    private static let chunk = 200

    /// Mends these faults; returns what was done, in sentences.
    package func mend(_ faults: [QueueFault]) async throws(DatabaseError) -> [String] {
        var done: [String] = []
        if faults.contains(where: { $0.kind == .deadLeases }) {
            try await queue.maintain()
            done.append("Leases of workers that have ended were taken back.")
        }
        let orphaned = faults.filter { $0.kind == .orphanJobs }.compactMap(\.batch)
        for batch in Set(orphaned).sorted() {
            let count = try await deleteOrphans(of: batch)
            if count > 0 { done.append("\(Self.many(count, "job")) without a batch that wants them were deleted.") }
        }
        let batches = Set(faults.filter { $0.kind != .orphanJobs && $0.kind != .deadLeases }.compactMap(\.batch))
        for batch in batches.sorted() {
            let name = faults.first { $0.batch == batch }?.batchName ?? "\(batch)"
            let kinds = Set(faults.filter { $0.batch == batch }.map(\.kind))
            done += try await mend(batch, kinds).map { "Batch \(name): \($0)" }
        }
        return done
    }

    private static func many(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

    private func deleteOrphans(of batch: Int64) async throws(DatabaseError) -> Int {
        try await queue.database.transaction { connection throws(DatabaseError) in
            // Whoever resumes the batch waits, or has made jobs that are none of ours.
            let rows = try connection.query(
                "SELECT state IN ('cancelled', 'deleting') FROM quire.batch WHERE id = $1 FOR NO KEY UPDATE",
                [.int(batch)])
            if var row = rows.first, try !row.bool() { return 0 }
            var count = try connection.query("SELECT count(*) FROM quire.job WHERE batch_id = $1", [.int(batch)])
            try JobSQL.deleteAll(connection, where: "batch_id = $1", [.int(batch)])
            return count.isEmpty ? 0 : try count[0].int()
        }
    }

    private func mend(_ batch: Int64, _ kinds: Set<QueueFault.Kind>) async throws(DatabaseError) -> [String] {
        var done: [String] = []
        if kinds.contains(.unheldJobs) {
            let count = try await deleteUnheld(of: batch)
            if count > 0 { done.append("\(Self.many(count, "job")) of documents that it does not hold were deleted.") }
        }
        let ofDocuments: Set<QueueFault.Kind> = [
            .unqueued, .misplacedJobs, .beyondLastPage, .documentCounts, .withoutFile,
        ]
        if !kinds.isDisjoint(with: ofDocuments) {
            var sum = Mended()
            let check = QueueCheck(queue)
            var last = Int64.min
            while let part = try await check.wrongDocuments(of: batch, after: last) {
                last = part.last
                for start in stride(from: 0, to: part.documents.count, by: Self.chunk) {
                    let end = min(start + Self.chunk, part.documents.count)
                    sum += try await mendDocuments(Array(part.documents[start..<end]), of: batch)
                }
            }
            done += sum.sentences
        }
        if kinds.contains(.stuckCounts) {
            while try await unstick(batch) {}
            done.append("changes of counts that could not be added were replaced by counts made anew.")
        }
        let (isCounted, isShown) = try await recount(batch)
        if isCounted { done.append("its counts were made anew from its documents and files.") }
        if isShown { done.append("claims look at its jobs again.") }
        return done
    }

    /// What was mended of documents.
    private struct Mended {
        var queued = 0
        var deletedJobs = 0
        var movedResults = 0
        var recounted = 0
        var left = 0

        static func += (total: inout Mended, part: Mended) {
            total.queued += part.queued
            total.deletedJobs += part.deletedJobs
            total.movedResults += part.movedResults
            total.recounted += part.recounted
            total.left += part.left
        }

        var sentences: [String] {
            [
                (deletedJobs, "\(many(deletedJobs, "job")) that covered others' pages, or none, were deleted."),
                (movedResults, "\(many(movedResults, "result")) beyond the last page went to the history."),
                (queued, "\(many(queued, "page")) that nobody would have read were queued."),
                (left, "\(many(left, "document")) without a file left it; their results stay."),
                (recounted, "\(many(recounted, "document")) were counted anew."),
            ].filter { $0.0 > 0 }.map(\.1)
        }
    }

    private func mendDocuments(_ documents: [Int64], of batch: Int64) async throws(DatabaseError) -> Mended {
        try await queue.database.transaction { connection throws(DatabaseError) in
            var mended = Mended()
            guard try PageQueue.lockBatch(batch, connection) != .cancelled else { return mended }
            try JobSQL.lockDocuments(documents, connection)
            let moved = try connection.query(
                "SELECT quire.move_results_beyond_end($1)", [.ints(documents)])
            if var row = moved.first { mended.movedResults = try row.int() }
            mended.deletedJobs = try deleteMisplaced(documents, of: batch, connection)
            mended.queued = try JobSQL.queueUncovered(documents, of: batch, connection)
            mended.recounted = try Self.recount(documents, of: batch, connection)
            // Counted right, they can be taken off the batch's counts.
            mended.left = try UnusedDocuments.remove(Set(documents), from: batch, connection)
            try JobSQL.freeStranded(documents, connection)
            return mended
        }
    }

    private func deleteMisplaced(
        _ documents: [Int64], of batch: Int64, _ connection: Connection
    ) throws(DatabaseError) -> Int {
        let rows = try connection.query(
            """
            SELECT DISTINCT j.document_id FROM quire.job j JOIN quire.document d ON d.id = j.document_id
            WHERE j.batch_id = $1 AND j.document_id = ANY ($2::bigint[]) AND (
              j.first_page + j.n_pages - 1 > d.page_count OR EXISTS (
                SELECT FROM quire.job o WHERE o.batch_id = $1 AND o.document_id = j.document_id AND o.id <> j.id
                  AND o.first_page < j.first_page + j.n_pages AND j.first_page < o.first_page + o.n_pages))
            """, [.int(batch), .ints(documents)])
        var wrong: [Int64] = []
        for var row in rows { wrong.append(try row.int64()) }
        guard !wrong.isEmpty else { return 0 }
        let parameters: [SQLValue] = [.int(batch), .ints(wrong)]
        let condition = "batch_id = $1 AND document_id = ANY ($2::bigint[])"
        var count = try connection.query("SELECT count(*) FROM quire.job WHERE \(condition)", parameters)
        try JobSQL.deleteAll(connection, where: condition, parameters)
        return count.isEmpty ? 0 : try count[0].int()
    }

    private func deleteUnheld(of batch: Int64) async throws(DatabaseError) -> Int {
        try await queue.database.transaction { connection throws(DatabaseError) in
            _ = try PageQueue.lockBatch(batch, connection)
            let condition = """
                batch_id = $1 AND NOT EXISTS (SELECT FROM quire.batch_document d
                  WHERE d.batch_id = $1 AND d.document_id = job.document_id)
                """
            var count = try connection.query("SELECT count(*) FROM quire.job WHERE \(condition)", [.int(batch)])
            try JobSQL.deleteAll(connection, where: condition, [.int(batch)])
            return count.isEmpty ? 0 : try count[0].int()
        }
    }

    // MARK: Counts

    /// Counts documents anew whose changes cannot be added; false where there are none left.
    private func unstick(_ batch: Int64) async throws(DatabaseError) -> Bool {
        try await queue.database.transaction { connection throws(DatabaseError) in
            _ = try PageQueue.lockBatch(batch, connection)
            let rows = try connection.query(
                """
                SELECT DISTINCT document_id FROM quire.tally_delta
                WHERE batch_id = $1 AND document_id IS NOT NULL ORDER BY document_id LIMIT $2
                """, [.int(batch), .int(Self.chunk)])
            var documents: [Int64] = []
            for var row in rows { documents.append(try row.int64()) }
            if !documents.isEmpty {
                try JobSQL.lockDocuments(documents, connection)
                _ = try Self.recount(documents, of: batch, connection)
                return true
            }
            try TallyFold.lock(connection)
            try connection.query("DELETE FROM quire.tally_delta WHERE batch_id = $1", [.int(batch)])
            try connection.query("UPDATE quire.tally SET fold_error = NULL WHERE batch_id = $1", [.int(batch)])
            return false
        }
    }

    /// Counts documents anew from their pages and jobs, which the caller has locked; returns how many were wrong.
    ///
    /// Changes that were not added yet are in what is counted, and go.
    private static func recount(
        _ documents: [Int64], of batch: Int64, _ connection: Connection
    ) throws(DatabaseError) -> Int {
        var rows = try connection.query(
            "SELECT quire.recount_documents($2, $1, $3, false)",
            [.int(batch), .ints(documents), .int(AdvisoryLock.housekeeping)])
        _ = try recountBatch(batch, connection)
        return rows.isEmpty ? 0 : try rows[0].int()
    }

    private func recount(
        _ batch: Int64
    ) async throws(DatabaseError) -> (isCounted: Bool, isShown: Bool) {
        try await queue.database.transaction { connection throws(DatabaseError) in
            guard try PageQueue.lockBatch(batch, connection) != .cancelled else { return (false, false) }
            try TallyFold.lock(connection)
            let shown = try connection.query(
                """
                UPDATE quire.batch b SET has_jobs = true
                WHERE b.id = $1 AND NOT b.has_jobs AND EXISTS (SELECT FROM quire.job j WHERE j.batch_id = $1)
                RETURNING 1
                """, [.int(batch)])
            return (isCounted: try Self.recountBatch(batch, connection), isShown: !shown.isEmpty)
        }
    }

    /// Makes the batch's counts those of its documents and files; the caller has the turn at the counts.
    private static func recountBatch(_ batch: Int64, _ connection: Connection) throws(DatabaseError) -> Bool {
        let columns = QueueCheck.tallyColumns.joined(separator: ", ")
        let values = QueueCheck.tallyColumns.map { "r.\($0)" }.joined(separator: ", ")
        try connection.query(
            "INSERT INTO quire.tally (batch_id) VALUES ($1) ON CONFLICT DO NOTHING", [.int(batch)])
        return try !connection.query(
            """
            WITH truth(\(columns)) AS (\(QueueCheck.tallySQL))
            UPDATE quire.tally t SET (\(columns)) = (SELECT \(values) FROM truth r) FROM truth r
            WHERE t.batch_id = $1
              AND (\(QueueCheck.tallyColumns.map { "t.\($0)" }.joined(separator: ", "))) IS DISTINCT FROM (\(values))
            RETURNING 1
            """, [.int(batch)]
        ).isEmpty
    }
}
