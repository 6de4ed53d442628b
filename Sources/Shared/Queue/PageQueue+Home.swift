extension PageQueue {
    /// The batch in whose folder a lease's file lies; nil where it is gone.
    package func home(of lease: Lease) async throws(DatabaseError) -> Batch? {
        try await database.run { connection throws(DatabaseError) in
            try Self.batches(
                connection, where: "b.id = (SELECT f.batch_id FROM quire.batch_file f WHERE f.id = $1)",
                [.int(lease.fileID)]
            ).first
        }
    }
}
