private import Digest
private import SystemPackage

/// What a batch knows of a file that is there and could be read.
package struct KnownFile: Sendable {
    package var stamp: FileStamp
    package var isDocument: Bool
    /// False where an earlier Quire stored it, which did not look at the time of its inode's last change.
    package var isDated: Bool

    /// Whether a file with this stamp need not be read again: nothing can have been written to it since.
    ///
    /// A stamp that could not be trusted when it was taken equals none.
    package func isUnchanged(_ now: FileStamp) -> Bool {
        guard stamp.size == now.size, stamp.modifiedNanoseconds == now.modifiedNanoseconds else { return false }
        guard isDated else { return true }
        return stamp.changedNanoseconds != nil && stamp.changedNanoseconds == now.changedNanoseconds
    }
}

extension PageQueue {
    /// Notes the times of their inodes' last change for files that an earlier Quire stored without.
    package func date(
        _ files: [(location: SourceLocation, changedNanoseconds: Int64)], batch: Int64
    ) async throws(DatabaseError) {
        guard !files.isEmpty else { return }
        try await database.query(
            """
            UPDATE quire.batch_file f SET changed_ns = s.changed_ns, has_changed_ns = true
            FROM unnest($2::text[], $3::bytea[], $4::bigint[]) s(root, path, changed_ns)
            WHERE f.batch_id = $1 AND f.root = s.root AND sha256(f.path) = sha256(s.path) AND NOT f.has_changed_ns
            """,
            [
                .int(batch), .texts(files.map(\.location.root)), .byteArrays(files.map(\.location.path.bytes)),
                .ints(files.map(\.changedNanoseconds)),
            ])
    }

    /// What the batch knows of the files at these places; unchanged ones need not be read again.
    ///
    /// Those that could not be read, or were gone, are not known: they are to be looked at anew.
    package func knownFiles(
        batch: Int64, at locations: [SourceLocation]
    ) async throws(DatabaseError) -> [SourceLocation: KnownFile] {
        try await database.run { connection throws(DatabaseError) in
            let rows = try connection.query(
                """
                SELECT f.root, f.path, f.size, f.modified_ns, f.changed_ns, f.kind = 'document',
                  f.has_changed_ns
                FROM unnest($2::text[], $3::bytea[]) s(root, path)
                JOIN quire.batch_file f ON f.batch_id = $1 AND f.root = s.root AND sha256(f.path) = sha256(s.path)
                WHERE f.fault_count = 0 AND f.gone_at IS NULL
                """, [.int(batch), .texts(locations.map(\.root)), .byteArrays(locations.map(\.path.bytes))])
            var files: [SourceLocation: KnownFile] = [:]
            for var row in rows {
                let location = try row.location()
                let stamp = FileStamp(
                    size: try row.int64(), modifiedNanoseconds: try row.int64(),
                    changedNanoseconds: try row.optionalInt64())
                let isDocument = try row.bool()
                files[location] = KnownFile(stamp: stamp, isDocument: isDocument, isDated: try row.bool())
            }
            return files
        }
    }

    /// Adds files to a batch, or notes that they have changed; all in one transaction.
    ///
    /// Idempotent, and may be called many times with parts of a folder. Pages that this pipeline has recognised already
    /// are counted at once; jobs are made for all others, unless the batch is cancelled. A known document that cannot be
    /// read for the moment, by the fault of its file or of the machine, stays as it is.
    package func add(_ files: [ScannedFile], to batch: Int64) async throws(DatabaseError) -> SubmitCounts {
        let submission = Submission(files)
        return try await database.transaction { connection throws(DatabaseError) in
            try submission.apply(to: batch, connection)
        }
    }

    /// The first `limit` files of other kinds, in the order in which they were found.
    package func ignoredFiles(
        batch: Int64, limit: Int
    ) async throws(DatabaseError) -> [(location: SourceLocation, reason: String)] {
        let rows = try await database.query(
            """
            SELECT root, path, reason FROM quire.batch_file
            WHERE batch_id = $1 AND document_id IS NULL AND kind = 'ignored' AND gone_at IS NULL ORDER BY id LIMIT $2
            """, [.int(batch), .int(limit)])
        var files: [(location: SourceLocation, reason: String)] = []
        for var row in rows { files.append((try row.location(), try row.text())) }
        return files
    }

    /// Tells workers that listen on `quire_submitted` that there may be work.
    package func notifySubmitted() async throws(DatabaseError) {
        try await database.query("SELECT pg_notify('quire_submitted', '')")
    }
}

/// Files to add to a batch, each location once.
private struct Submission: Sendable {
    private struct Known {
        var kind: String
        var documentID: Int64?
        var reason: String?
    }

    private var files: [ScannedFile] = []

    /// Of several findings for one location the last holds.
    init(_ scanned: [ScannedFile]) {
        var places: [SourceLocation: Int] = [:]
        for var file in scanned {
            if case .document(_, _, let pageCount) = file.finding, pageCount < 1 {
                file.finding = .unreadable(reason: "The document has no pages.")
            }
            if let place = places[file.location] {
                files[place] = file
            } else {
                places[file.location] = files.count
                files.append(file)
            }
        }
    }

    func apply(to batch: Int64, _ connection: Connection) throws(DatabaseError) -> SubmitCounts {
        guard !files.contains(where: \.isFault) else {
            return try withoutFaults(of: batch, connection).apply(to: batch, connection)
        }
        try connection.query(AdvisoryLock.placesSQL)
        let state = try PageQueue.lockBatch(batch, connection)
        let rows = try connection.query("SELECT pipeline_id FROM quire.batch WHERE id = $1", [.int(batch)])
        guard var row = rows.first else { throw .notFound(reason: "There is no batch number \(batch).") }
        let pipeline = try row.int64()

        let documents = try storeDocuments(pipeline: pipeline, connection)
        let known = try knownFiles(batch: batch, connection)
        let fresh = try attach(documents, to: batch, connection)
        let (queued, recorded) = try JobSQL.queueMissing(
            connection, batch: batch, documents: fresh, makingJobs: state != .cancelled,
            tally: "SELECT $1, document_id, 1, page_count, done, blank, failed, quarantined, noted FROM recorded")
        try storeFiles(batch: batch, documents, connection)
        if !documents.isEmpty {
            try JobSQL.freeStranded(documents.values.sorted(), connection)
        }

        var counts = count(documents, known: known, fresh: Set(fresh))
        counts.pagesQueued = queued
        counts.pagesAlreadyRecorded = recorded
        try tallyFiles(batch: batch, documents, known: known, connection)
        let abandoned = files.compactMap { file -> Int64? in
            guard let before = known[file.location]?.documentID else { return nil }
            return before == documentID(of: file, documents) ? nil : before
        }
        _ = try UnusedDocuments.remove(Set(abandoned), from: batch, connection)
        return counts
    }

    /// Leaves out files that cannot be read for the moment and that the batch knows as documents: these stay.
    private func withoutFaults(of batch: Int64, _ connection: Connection) throws(DatabaseError) -> Submission {
        let known = try knownFiles(batch: batch, connection)
        var rest = self
        rest.files = files.filter { !$0.isFault || known[$0.location]?.documentID == nil }
        for index in rest.files.indices { rest.files[index].isFault = false }
        return rest
    }

    private func documentID(of file: ScannedFile, _ documents: [SHA256Digest: Int64]) -> Int64? {
        guard case .document(let sha256, _, _) = file.finding else { return nil }
        return documents[sha256]
    }

    /// Makes rows for contents that are new to the pipeline; holds all rows against retries.
    private func storeDocuments(
        pipeline: Int64, _ connection: Connection
    ) throws(DatabaseError) -> [SHA256Digest: Int64] {
        var found: [SHA256Digest: (format: DocumentFormat, pageCount: Int, notes: [PageNote])] = [:]
        for file in files {
            guard case .document(let sha256, let format, let pageCount) = file.finding else { continue }
            found[sha256] = (format, pageCount, file.notes)
        }
        // In one order, so that two submissions do not lock each other out.
        let sorted = found.sorted { $0.key.bytes.lexicographicallyPrecedes($1.key.bytes) }
        try connection.query(
            """
            INSERT INTO quire.document (sha256, pipeline_id, format, page_count)
            SELECT d.sha256, $1, d.format::quire.document_format, d.page_count
            FROM unnest($2::bytea[], $3::text[], $4::bigint[]) d(sha256, format, page_count)
            ON CONFLICT DO NOTHING
            """,
            [
                .int(pipeline), .byteArrays(sorted.map(\.key.bytes)), .texts(sorted.map(\.value.format.rawValue)),
                .ints(sorted.map(\.value.pageCount)),
            ])
        try PageQueue.storeNotes(sorted.map { ($0.key.bytes, $0.value.notes) }, pipeline: pipeline, connection)
        let rows = try connection.query(
            """
            SELECT id, sha256 FROM quire.document WHERE pipeline_id = $1 AND sha256 = ANY ($2::bytea[])
            ORDER BY sha256 FOR SHARE
            """, [.int(pipeline), .byteArrays(sorted.map(\.key.bytes))])
        var documents: [SHA256Digest: Int64] = [:]
        for var row in rows {
            let id = try row.int64()
            documents[try row.digest()] = id
        }
        return documents
    }

    private func knownFiles(batch: Int64, _ connection: Connection) throws(DatabaseError) -> [SourceLocation: Known] {
        let rows = try connection.query(
            """
            SELECT f.root, f.path, f.kind, f.document_id, f.reason
            FROM unnest($2::text[], $3::bytea[]) s(root, path)
            JOIN quire.batch_file f ON f.batch_id = $1 AND f.root = s.root AND sha256(f.path) = sha256(s.path)
            WHERE f.gone_at IS NULL
            """, [.int(batch), .texts(files.map(\.location.root)), .byteArrays(files.map(\.location.path.bytes))])
        var known: [SourceLocation: Known] = [:]
        for var row in rows {
            let location = try row.location()
            known[location] = Known(
                kind: try row.text(), documentID: try row.optionalInt64(), reason: try row.optionalText())
        }
        return known
    }

    /// Returns the documents that are new to the batch, in the files' order.
    private func attach(
        _ documents: [SHA256Digest: Int64], to batch: Int64, _ connection: Connection
    ) throws(DatabaseError) -> [Int64] {
        let rows = try connection.query(
            """
            INSERT INTO quire.batch_document (batch_id, document_id, page_count)
            SELECT $1, id, page_count FROM quire.document WHERE id = ANY ($2::bigint[])
            ON CONFLICT DO NOTHING RETURNING document_id
            """, [.int(batch), .ints(documents.values.sorted())])
        var fresh: Set<Int64> = []
        for var row in rows { fresh.insert(try row.int64()) }
        return files.compactMap { file in documentID(of: file, documents).flatMap { fresh.remove($0) } }
    }

    private func storeFiles(
        batch: Int64, _ documents: [SHA256Digest: Int64], _ connection: Connection
    ) throws(DatabaseError) {
        try connection.query(
            """
            INSERT INTO quire.batch_file AS f
              (batch_id, root, path, size, modified_ns, changed_ns, kind, document_id, reason)
            SELECT $1, s.root, s.path, s.size, s.modified_ns, s.changed_ns, s.kind::quire.file_kind, s.document_id, s.reason
            FROM unnest($2::text[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::bigint[],
              $9::text[]) WITH ORDINALITY s(root, path, size, modified_ns, changed_ns, kind, document_id, reason, place)
            ORDER BY s.place
            ON CONFLICT (batch_id, root, sha256(path)) DO UPDATE SET
              (size, modified_ns, changed_ns, kind, document_id, reason, fault, fault_at, fault_count, gone_at,
                has_changed_ns)
                = (excluded.size, excluded.modified_ns, excluded.changed_ns, excluded.kind, excluded.document_id,
                  excluded.reason, NULL, NULL, 0, NULL, true)
            """,
            [
                .int(batch), .texts(files.map(\.location.root)), .byteArrays(files.map(\.location.path.bytes)),
                .ints(files.map(\.stamp.size)), .ints(files.map(\.stamp.modifiedNanoseconds)),
                .ints(files.map(\.stamp.changedNanoseconds)),
                .texts(files.map(\.finding.kind)), .ints(files.map { documentID(of: $0, documents) }),
                .texts(files.map(\.finding.reason)),
            ])
    }

    private func count(
        _ documents: [SHA256Digest: Int64], known: [SourceLocation: Known], fresh: Set<Int64>
    ) -> SubmitCounts {
        var counts = SubmitCounts()
        var unseen = fresh
        for file in files {
            let id = documentID(of: file, documents)
            if let before = known[file.location] {
                guard
                    before.kind != file.finding.kind || before.documentID != id || before.reason != file.finding.reason
                else {
                    if id != nil { counts.unchanged += 1 }
                    continue
                }
                counts.changed += 1
            } else {
                counts.added += 1
            }
            switch file.finding {
            case .document: if let id, unseen.remove(id) == nil { counts.duplicates += 1 }
            case .unreadable: counts.unreadable += 1
            case .ignored: counts.ignored += 1
            }
        }
        return counts
    }

    private func tallyFiles(
        batch: Int64, _ documents: [SHA256Digest: Int64], known: [SourceLocation: Known], _ connection: Connection
    ) throws(DatabaseError) {
        let change = { (kind: String) in
            files.count { $0.finding.kind == kind } - known.values.count { $0.kind == kind }
        }
        let (unreadable, ignored) = (change("unreadable"), change("ignored"))
        guard unreadable != 0 || ignored != 0 else { return }
        try connection.query(
            "INSERT INTO quire.tally_delta (batch_id, unreadable, ignored) VALUES ($1, $2, $3)",
            [.int(batch), .int(unreadable), .int(ignored)])
    }
}

extension ScannedFile.Finding {
    /// Its label in `quire.file_kind`.
    fileprivate var kind: String {
        switch self {
        case .document: "document"
        case .unreadable: "unreadable"
        case .ignored: "ignored"
        }
    }

    fileprivate var reason: String? {
        switch self {
        case .document: nil
        case .unreadable(let reason), .ignored(let reason): reason
        }
    }
}
