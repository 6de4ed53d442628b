package import SystemPackage

/// Every question and order that programs put to the job tables. Stateless but for its connection; safe to share.
package struct PageQueue: Sendable {
    package let database: Database

    package init(database: Database) { self.database = database }
}

// Contract (each throws DatabaseError):
//
// Submitting
//   func openBatch(name: String?, source: SourceLocation, pipeline: Pipeline, priority: Int) async throws -> (batch: Batch, isNew: Bool)
//       name nil: the batch of this source and pipeline if there is one, else a new one named by the folder ("archive", "archive-2", ...).
//       name given: that batch; DatabaseError.batchConflict (a sentence) when it has another source or pipeline.
//   func knownFiles(batch: Int64) async throws -> [SourceLocation: (stamp: FileStamp, isDocument: Bool)]   (to skip what is unchanged)
//   func add(_ files: [ScannedFile], to batch: Int64) async throws -> SubmitCounts   (one transaction; idempotent; may be called many times)
//   func notifySubmitted() (one small NOTIFY)
// Working
//   func register(_ worker: WorkerIdentity) async throws -> Int64
//   func heartbeat(worker: Int64, tokens: [Int64]) async throws -> HeartbeatReply
//   func unregister(worker: Int64) async throws                 (gives back what it still holds, without counting an attempt)
//   func claim(worker: Int64, modelDigest: String, leaseSeconds: Double) async throws -> Lease?
//   func record(_ outcomes: [PageOutcome], alreadyRecorded: Set<Int>, lease: Lease, worker: Int64) async throws -> RecordReceipt
//       outcomes + alreadyRecorded must be exactly the next contiguous pages of lease.pages (a prefix): checked before and in SQL.
//   func release(_ lease: Lease, worker: Int64) async throws    (gives pages back; attempt not counted)
// Keeping house (any process, about once a second; guarded by a transaction-level advisory lock)
//   func maintain() async throws                                 (promote waiting jobs, rescue lost ones, fold tallies)
//   func reportDead(workers: [Int64]) async throws               (leases of workers known to be dead go back at once)
//   func workersOnHost(bootID: String, host: String) async throws -> [(id: Int64, pid: Int32, processStartTicks: Int64, bootID: String)]
// Watching
//   func batches() / batch(named:) ; func status(batch: Int64?) async throws -> [BatchStatus] ; func workers() ; func problems(batch: Int64?, limit: Int)
// Steering
//   func setState(_ state: BatchState, batch: Int64)  (cancel removes jobs: leased ones too)
//   func retry(_ selection: RetrySelection, batch: Int64, override: PipelineOverride?) async throws -> Int (pages queued again)
// Exporting
//   func files(batch:) -> [ExportFile] ; func pages(document: Int64, from: Int, limit: Int) -> [ExportPage]
