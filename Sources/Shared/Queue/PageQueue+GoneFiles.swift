private import Digest
package import SystemPackage

extension PageQueue {
    /// A file of a batch that is not known to be gone.
    package struct LiveFile: Sendable {
        package var id: Int64
        package var location: SourceLocation
    }

    /// How many files of the batch, at or below these paths of one root, are not known to be gone.
    package func liveFileCount(
        batch: Int64, root: String, below paths: [FilePath]
    ) async throws(DatabaseError) -> Int {
        var rows = try await database.query(
            "SELECT count(*) FROM quire.batch_file f WHERE \(Self.isLive)",
            [.int(batch), .text(root), .byteArrays(paths.map(\.bytes))])
        guard !rows.isEmpty else { throw .unexpectedAnswer(reason: "a count of files is missing.") }
        return try rows[0].int()
    }

    /// The next of them after `last`, in an order of the database's own; empty at the end.
    package func liveFiles(
        batch: Int64, root: String, below paths: [FilePath], after last: LiveFile?, limit: Int
    ) async throws(DatabaseError) -> [LiveFile] {
        let rows = try await database.query(
            """
            SELECT f.id, f.root, f.path FROM quire.batch_file f
            WHERE \(Self.isLive) AND ($4::bytea IS NULL OR sha256(f.path) > sha256($4)) ORDER BY sha256(f.path) LIMIT $5
            """,
            [
                .int(batch), .text(root), .byteArrays(paths.map(\.bytes)),
                last.map { .bytes($0.location.path.bytes) } ?? .null, .int(limit),
            ])
        var files: [LiveFile] = []
        for var row in rows { files.append(LiveFile(id: try row.int64(), location: try row.location())) }
        return files
    }

    /// About the file `f`: of the batch `$1` and the root `$2`, at or below one of the paths `$3`.
    private static let isLive = """
        f.batch_id = $1 AND f.root = $2 AND f.gone_at IS NULL AND EXISTS (
          SELECT FROM unnest($3::bytea[]) s(path) WHERE s.path = ''::bytea OR f.path = s.path
            OR substring(f.path FROM 1 FOR octet_length(s.path) + 1) = s.path || '/'::bytea)
        """

    /// Marks files as gone; returns how many were not so before.
    ///
    /// They are not read from any more. A document all of whose files are gone leaves the batch; its results stay. A file
    /// that is submitted again is there again.
    package func markGone(_ files: [Int64], batch: Int64) async throws(DatabaseError) -> Int {
        try await database.transaction { connection throws(DatabaseError) in
            _ = try Self.lockBatch(batch, connection)
            let rows = try connection.query(
                """
                UPDATE quire.batch_file SET gone_at = now(), fault = NULL, fault_at = NULL, fault_count = 0
                WHERE id = ANY ($2::bigint[]) AND batch_id = $1 AND gone_at IS NULL RETURNING kind, document_id
                """, [.int(batch), .ints(files)])
            var counts: [String: Int] = [:]
            var documents: Set<Int64> = []
            for var row in rows {
                counts[try row.text(), default: 0] += 1
                if let document = try row.optionalInt64() { documents.insert(document) }
            }
            let (unreadable, ignored) = (counts["unreadable"] ?? 0, counts["ignored"] ?? 0)
            if unreadable > 0 || ignored > 0 {
                try connection.query(
                    "INSERT INTO quire.tally_delta (batch_id, unreadable, ignored) VALUES ($1, $2, $3)",
                    [.int(batch), .int(-unreadable), .int(-ignored)])
            }
            _ = try UnusedDocuments.remove(documents, from: batch, connection)
            return rows.count
        }
    }
}
