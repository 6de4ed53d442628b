/// Documents of a batch to which no file of it leads any more.
enum UnusedDocuments {
    /// Takes those of the candidates out of the batch.
    ///
    /// Returns how many. Their results stay. The caller has locked the batch.
    static func remove(
        _ candidates: Set<Int64>, from batch: Int64, _ connection: Connection
    ) throws(DatabaseError) -> Int {
        guard !candidates.isEmpty else { return 0 }
        let rows = try connection.query(
            """
            SELECT c.id FROM unnest($2::bigint[]) c(id)
            JOIN quire.batch_document d ON d.batch_id = $1 AND d.document_id = c.id
            WHERE NOT EXISTS (
              SELECT FROM quire.batch_file f WHERE f.batch_id = $1 AND f.document_id = c.id AND f.gone_at IS NULL)
            """, [.int(batch), .ints(candidates.sorted())])
        var unused: [Int64] = []
        for var row in rows { unused.append(try row.int64()) }
        guard !unused.isEmpty else { return 0 }
        let parameters: [SQLValue] = [.int(batch), .ints(unused)]
        try JobSQL.deleteAll(connection, where: "batch_id = $1 AND document_id = ANY ($2::bigint[])", parameters)
        // With the jobs gone nobody adds to these documents' counts; the fold makes the counts final.
        try TallyFold.lock(connection)
        try TallyFold.fold(batch, connection)
        try connection.query(
            """
            WITH gone AS (
              DELETE FROM quire.batch_document WHERE batch_id = $1 AND document_id = ANY ($2::bigint[]) RETURNING *),
            counts AS (
              SELECT count(*) AS documents, sum(page_count) AS pages, sum(done) AS done, sum(blank) AS blank,
                sum(failed) AS failed, sum(quarantined) AS quarantined, sum(stranded) AS stranded,
                sum(noted) AS noted, count(*) FILTER (WHERE done + blank = page_count) AS complete,
                count(*) FILTER (WHERE done + blank + failed + quarantined + stranded = page_count
                  AND failed + quarantined + stranded > 0) AS with_failures
              FROM gone)
            UPDATE quire.tally t SET documents = t.documents - c.documents, pages = t.pages - c.pages,
              done = t.done - c.done, blank = t.blank - c.blank, failed = t.failed - c.failed,
              quarantined = t.quarantined - c.quarantined, stranded = t.stranded - c.stranded, noted = t.noted - c.noted,
              complete = t.complete - c.complete, with_failures = t.with_failures - c.with_failures
            FROM counts c WHERE t.batch_id = $1 AND c.documents > 0
            """, parameters)
        return unused.count
    }
}
