extension PageQueue {
    /// Stores what became of the next pages of a lease.
    ///
    /// `outcomes` and `alreadyRecorded` together are the next contiguous pages of the lease; handing over all of them ends
    /// it. A page that failed for the time being waits for another attempt until the batch's `max_attempts`. Calling again
    /// with the same pages, as after a lost connection, changes nothing.
    package func record(
        _ outcomes: [PageOutcome], alreadyRecorded: Set<Int> = [], lease: Lease, worker: Int64
    ) async throws(DatabaseError) -> RecordReceipt {
        let handed = RecordPlan.handedRange(outcomes: outcomes, alreadyRecorded: alreadyRecorded)
        if handed == nil, !outcomes.isEmpty || !alreadyRecorded.isEmpty {
            throw .unexpectedAnswer(reason: "the pages handed over for document \(lease.documentID) leave a gap.")
        }
        let plan = RecordPlan(
            outcomes: outcomes, attempt: lease.attempt, maxAttempts: lease.maxAttempts,
            retrySeconds: lease.retrySeconds, jitter: { .random(in: 0.5...1.5) })
        let order = RecordOrder(plan, handed: handed, lease: lease, worker: worker)
        return try await database.run { connection throws(DatabaseError) in
            guard var row = try connection.query(RecordOrder.sql, order.parameters).first else {
                throw .unexpectedAnswer(reason: "no word of what became of the pages handed over.")
            }
            let verdict = try row.label(RecordOrder.Verdict.self)
            let (first, count) = (try row.optionalInt64(), try row.optionalInt64())
            var remaining: ClosedRange<Int>?
            if let first, let count { remaining = Int(first)...Int(first + count) - 1 }
            switch verdict {
            case .recorded, .held: return .accepted(remaining: remaining)
            case .ended: return .accepted(remaining: nil)
            case .lost: return .leaseLost
            case .mismatch:
                throw .unexpectedAnswer(
                    reason: "pages \(handed?.lowerBound ?? 0) to \(handed?.upperBound ?? 0) of document "
                        + "\(lease.documentID) were handed over where \(remaining?.lowerBound ?? 0) to "
                        + "\(remaining?.upperBound ?? 0) are leased.")
            }
        }
    }
}
