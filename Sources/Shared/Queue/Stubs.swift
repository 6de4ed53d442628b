package import SystemPackage

private let pending = DatabaseError.unexpectedAnswer(reason: "not there yet")

extension PageQueue {
    package func openBatch(
        name: String?, source: SourceLocation, pipeline: Pipeline, priority: Int
    ) async throws(DatabaseError) -> (batch: Batch, isNew: Bool) { throw pending }
    package func knownFiles(
        batch: Int64
    ) async throws(DatabaseError) -> [SourceLocation: (stamp: FileStamp, isDocument: Bool)] { throw pending }
    package func add(_ files: [ScannedFile], to batch: Int64) async throws(DatabaseError) -> SubmitCounts {
        throw pending
    }
    package func notifySubmitted() async throws(DatabaseError) { throw pending }

    package func register(_ worker: WorkerIdentity) async throws(DatabaseError) -> Int64 { throw pending }
    package func heartbeat(worker: Int64, tokens: [Int64]) async throws(DatabaseError) -> HeartbeatReply {
        throw pending
    }
    package func unregister(worker: Int64) async throws(DatabaseError) { throw pending }
    package func claim(
        worker: Int64, modelDigest: String, leaseSeconds: Double
    ) async throws(DatabaseError) -> Lease? { throw pending }
    package func record(
        _ outcomes: [PageOutcome], alreadyRecorded: Set<Int> = [], lease: Lease, worker: Int64
    ) async throws(DatabaseError) -> RecordReceipt { throw pending }
    package func release(_ lease: Lease, worker: Int64) async throws(DatabaseError) { throw pending }

    package func maintain() async throws(DatabaseError) { throw pending }
    package func reportDead(workers: [Int64]) async throws(DatabaseError) { throw pending }
    package func workersOnHost(
        bootID: String, host: String
    ) async throws(DatabaseError) -> [(id: Int64, pid: Int32, processStartTicks: Int64, bootID: String)] {
        throw pending
    }
    /// Asks workers to finish what they have and leave; all of them where `workers` is nil.
    package func drain(workers: [Int64]?) async throws(DatabaseError) { throw pending }

    package func batches() async throws(DatabaseError) -> [Batch] { throw pending }
    package func batch(named name: String) async throws(DatabaseError) -> Batch? { throw pending }
    package func batch(id: Int64) async throws(DatabaseError) -> Batch? { throw pending }
    package func status(batch: Int64?) async throws(DatabaseError) -> [BatchStatus] { throw pending }
    package func workers() async throws(DatabaseError) -> [WorkerStatus] { throw pending }
    package func problems(batch: Int64?, limit: Int) async throws(DatabaseError) -> [ProblemReport] { throw pending }

    package func setState(_ state: BatchState, batch: Int64) async throws(DatabaseError) { throw pending }
    package func retry(
        _ selection: RetrySelection, batch: Int64, override: PipelineOverride?
    ) async throws(DatabaseError) -> Int { throw pending }
    /// Documents that `path` can mean: a whole path below the batch's folder or the root, else the end of one.
    package func documents(matching path: FilePath, batch: Int64) async throws(DatabaseError) -> [DocumentMatch] {
        throw pending
    }

    package func files(batch: Int64) async throws(DatabaseError) -> [ExportFile] { throw pending }
    package func pages(document: Int64, from first: Int, limit: Int) async throws(DatabaseError) -> [ExportPage] {
        throw pending
    }
}
