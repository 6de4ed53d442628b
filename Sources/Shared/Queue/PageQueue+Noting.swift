extension PageQueue {
    /// What was noted on the latest pages and documents, by code, the most frequent first.
    package func noteGroups(batch: Int64?) async throws(DatabaseError) -> [NoteGroup] {
        let rows = try await database.query(
            """
            SELECT code, pages, documents, left(example, 600), batch_name, source_root, source_path, root, path, page_no
            FROM quire.note_groups($1, $2)
            """, [batch.map { .int($0) } ?? .null, .int(Self.problemsLookedAt)])
        var groups: [NoteGroup] = []
        for var row in rows {
            let (code, pages, documents) = (try row.text(), try row.int(), try row.int())
            let (text, name) = (try row.text(), try row.text())
            let (folder, file) = (try row.location(), try row.location())
            groups.append(
                NoteGroup(
                    code: code, pages: pages, documents: documents, text: text, batch: name,
                    path: file.path(below: folder).displayText, page: try row.optionalInt64().map { Int($0) }))
        }
        return groups
    }

    /// Makes the notes on these documents those that were found just now.
    ///
    /// Rows are locked in the order of their contents, as submissions lock them, and only those that change.
    static func storeNotes(
        _ notes: [(sha256: [UInt8], notes: [PageNote])], pipeline: Int64, _ connection: Connection
    ) throws(DatabaseError) {
        let each = notes.flatMap { document in document.notes.map { (sha256: document.sha256, note: $0) } }
        try connection.query(
            """
            WITH found AS (
              SELECT d.sha256, (
                SELECT jsonb_agg(jsonb_build_object('code', n.code, 'text', n.text) ORDER BY n.place)
                FROM unnest($3::bytea[], $4::text[], $5::text[]) WITH ORDINALITY n(sha256, code, text, place)
                WHERE n.sha256 = d.sha256) AS notes
              FROM unnest($2::bytea[]) d(sha256)),
            changed AS MATERIALIZED (
              SELECT d.id, f.notes FROM found f
              JOIN quire.document d ON d.pipeline_id = $1 AND d.sha256 = f.sha256
              WHERE d.notes IS DISTINCT FROM f.notes ORDER BY d.sha256 FOR NO KEY UPDATE OF d)
            UPDATE quire.document d SET notes = c.notes FROM changed c WHERE d.id = c.id
            """,
            [
                .int(pipeline), .byteArrays(notes.map(\.sha256)), .byteArrays(each.map(\.sha256)),
                .texts(each.map(\.note.code)), .texts(each.map(\.note.text)),
            ])
    }
}
