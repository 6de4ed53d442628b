/// Keys of PostgreSQL's advisory locks, all held to the end of a transaction.
enum AdvisoryLock {
    /// Changing the schema; the first four bytes of all keys spell `quir`.
    static let migration: Int64 = 0x7175_6972_0000_0001
    /// Opening batches, so that names are given out one at a time.
    static let batches: Int64 = 0x7175_6972_0000_0002
    /// Keeping house: rescuing lost jobs and folding the tallies.
    static let housekeeping: Int64 = 0x7175_6972_0000_0003

    /// Tells `quire.strand` that files are being stored; 1903520114 is `quir` too.
    static let placesSQL = "SELECT pg_advisory_xact_lock_shared(1903520114, 0)"
}
