package import Digest

extension PageQueue {
    /// Corrects how many pages a document has, in all batches that hold it; false where that is what was known.
    ///
    /// Further pages are queued. Of fewer, results beyond the end go to the history, and jobs end there; a lease that
    /// reaches beyond the end is lost to its worker, and what is left of its range is handed out again.
    @discardableResult
    package func correctPageCount(document: Int64, count: Int) async throws(DatabaseError) -> Bool {
        let rows = try await database.transaction { connection throws(DatabaseError) in
            let rows = try connection.query(
                "SELECT quire.correct_page_count($1, $2::bigint::integer, $3)",
                [.int(document), .int(count), .int(AdvisoryLock.housekeeping)])
            try JobSQL.freeStranded([document], connection)
            return rows
        }
        guard var row = rows.first else { throw .unexpectedAnswer(reason: "no word of a page count's correction.") }
        return try row.bool()
    }

    /// The documents of these contents that the batch's pipeline knows, and how many pages it takes them to have.
    package func pageCounts(
        of contents: [SHA256Digest], batch: Int64
    ) async throws(DatabaseError) -> [SHA256Digest: (document: Int64, count: Int)] {
        guard !contents.isEmpty else { return [:] }
        return try await database.run { connection throws(DatabaseError) in
            let rows = try connection.query(
                """
                SELECT d.sha256, d.id, d.page_count FROM quire.batch b
                JOIN quire.document d ON d.pipeline_id = b.pipeline_id AND d.sha256 = ANY ($2::bytea[])
                WHERE b.id = $1
                """, [.int(batch), .byteArrays(contents.map(\.bytes))])
            var counts: [SHA256Digest: (document: Int64, count: Int)] = [:]
            for var row in rows {
                let digest = try row.digest()
                counts[digest] = (try row.int64(), try row.int())
            }
            return counts
        }
    }
}
