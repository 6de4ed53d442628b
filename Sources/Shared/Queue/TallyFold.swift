/// Moves `tally_delta` into the counts that status reads.
enum TallyFold {
    /// Waits for its turn at folding; the turn lasts to the end of the transaction.
    static func lock(_ connection: Connection) throws(DatabaseError) {
        try connection.query("SELECT pg_advisory_xact_lock($1)", [.int(AdvisoryLock.housekeeping)])
    }

    /// Folds all deltas of one batch that are there; the caller has the turn.
    static func fold(_ batch: Int64, _ connection: Connection) throws(DatabaseError) {
        try connection.query("SELECT quire.fold_tallies($1)", [.int(batch)])
    }
}
