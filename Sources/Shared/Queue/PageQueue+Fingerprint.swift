extension PageQueue {
    /// A digest of which results a document's pages have, without reading them: 64 hexadecimal digits.
    ///
    /// It changes with every page that is settled, retried or reset; equal digests mean equal pages.
    package func resultsFingerprint(document: Int64) async throws(DatabaseError) -> String {
        let rows = try await database.query(
            """
            SELECT encode(sha256(convert_to(coalesce(string_agg(
              concat_ws(' ', page_no, state, token, extract(epoch FROM finished_at)), ',' ORDER BY page_no), ''),
              'UTF8')), 'hex')
            FROM quire.page WHERE document_id = $1
            """, [.int(document)])
        guard var row = rows.first else { throw .unexpectedAnswer(reason: "an aggregate gave no row.") }
        return try row.text()
    }
}
