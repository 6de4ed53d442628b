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
    /// One file that held this content when it was submitted, and its stamp then; it may be another batch's.
    package var file: SourceLocation
    package var stamp: FileStamp
    /// The file's number in the queue, and how often in a row it could not be read.
    package var fileID: Int64
    package var fileFaults: Int
    /// Pages of the whole document, as they were counted when it was submitted.
    package var pageCount: Int
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
        pipeline: Pipeline, maxAttempts: Int, retrySeconds: Double, mustBeAlone: Bool, fileID: Int64 = 0,
        fileFaults: Int = 0, pageCount: Int = 0
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
        self.fileID = fileID
        self.fileFaults = fileFaults
        self.pageCount = pageCount
    }
}

/// What becomes of a lease whose file cannot be read.
package enum FaultReceipt: String, Sendable {
    /// Another file of the same content is there: the pages can be claimed again at once.
    case next
    /// A file will be tried again later.
    case waits
    /// No file is left: the pages wait for a submission or a retry.
    case stranded
    /// The lease was taken away before.
    case lost
}

/// What became of handed-over results.
package enum RecordReceipt: Sendable, Equatable {
    /// The results are stored; `remaining` pages of the range are still leased to this worker (nil: the range is complete).
    case accepted(remaining: ClosedRange<Int>?)
    /// The lease was taken away (cancelled, or given to another worker); nothing was stored.
    case leaseLost
}
