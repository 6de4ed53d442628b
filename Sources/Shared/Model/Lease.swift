package import Digest

/// A claimed range of contiguous pages of one document.
///
/// Whoever holds the current token may record results.
package struct Lease: Sendable {
    package var batchID: Int64
    package var jobID: Int64
    /// The fencing token; a new one with each claim.
    package var token: Int64
    package var documentID: Int64
    package var sha256: SHA256Digest
    package var format: DocumentFormat
    /// One file that held this content when it was submitted, and its stamp then.
    package var file: SourceLocation
    package var stamp: FileStamp
    /// Pages still to be recorded, counted from 1.
    package var pages: ClosedRange<Int>
    /// Pages of the range that another batch has recorded meanwhile: pass them to `record` as `alreadyRecorded`.
    package var recordedElsewhere: Set<Int>
    /// Counted from 1.
    package var attempt: Int
    /// The batch's pipeline, with a retry's override applied.
    package var pipeline: Pipeline
    /// The batch's: at which attempt a page fails for good, and how long it waits for the second one.
    package var maxAttempts: Int
    package var retrySeconds: Double
    /// Whether this one page is given up if its worker is lost once more: it is to be read with nothing else in hand.
    package var mustBeAlone: Bool

    package init(
        batchID: Int64, jobID: Int64, token: Int64, documentID: Int64, sha256: SHA256Digest, format: DocumentFormat,
        file: SourceLocation, stamp: FileStamp, pages: ClosedRange<Int>, recordedElsewhere: Set<Int>, attempt: Int,
        pipeline: Pipeline, maxAttempts: Int, retrySeconds: Double, mustBeAlone: Bool
    ) {
        self.batchID = batchID
        self.jobID = jobID
        self.token = token
        self.documentID = documentID
        self.sha256 = sha256
        self.format = format
        self.file = file
        self.stamp = stamp
        self.pages = pages
        self.recordedElsewhere = recordedElsewhere
        self.attempt = attempt
        self.pipeline = pipeline
        self.maxAttempts = maxAttempts
        self.retrySeconds = retrySeconds
        self.mustBeAlone = mustBeAlone
    }
}

/// What became of handed-over results.
package enum RecordReceipt: Sendable, Equatable {
    /// The results are stored; `remaining` pages of the range are still leased to this worker (nil: the range is complete).
    case accepted(remaining: ClosedRange<Int>?)
    /// The lease was taken away (cancelled, or given to another worker); nothing was stored.
    case leaseLost
}
