package import Digest

/// All that the queue knows of one page, for `quire show`.
package struct PageReport: Sendable {
    /// A file that holds the document, in one of the batches.
    package struct File: Sendable {
        package var batch: String
        package var location: SourceLocation
        /// Why it could not be read the last time, and how often in a row.
        package var fault: String?
        package var faults: Int
        /// Since when it is known to be no longer there (ISO 8601, UTC).
        package var goneAt: String?
    }

    /// A job that covers the page; there is one for each batch that still has it to do.
    package struct Job: Sendable {
        package enum State: String, Sendable {
            case ready
            case leased
            case waiting
            /// No file is left from which it can be read.
            case stranded
        }

        package var batch: String
        package var batchState: BatchState
        package var state: State
        /// Leased: since when.
        package var startedAt: String?
        /// Waiting: until when.
        package var due: String?
        package var token: Int64?
        package var worker: String?
        package var host: String?
        /// How often the range was leased, and how often a worker was lost with it.
        package var attempts: Int
        package var losses: Int
    }

    /// A lease that covered the page and has ended.
    package struct Attempt: Sendable {
        package var token: Int64
        package var batch: String?
        package var worker: String?
        package var host: String?
        package var pid: Int64?
        package var pages: ClosedRange<Int>
        package var number: Int
        package var startedAt: String
        package var endedAt: String
        package var seconds: Double
        package var outcome: String
        package var error: String?
    }

    /// A result that a retry has replaced.
    package struct Replaced: Sendable {
        package var state: PageState
        package var token: Int64
        package var mode: String
        package var error: String?
        package var finishedAt: String
        package var replacedAt: String
    }

    package var document: Int64
    package var sha256: SHA256Digest
    package var format: DocumentFormat
    package var pageCount: Int
    package var page: Int
    package var pipeline: Pipeline
    /// Of the document as a whole.
    package var notes: [PageNote]
    package var files: [File]
    /// Nil where the page is still to be done.
    package var result: ExportPage?
    package var jobs: [Job]
    package var attempts: [Attempt]
    package var replaced: [Replaced]
}

/// A document that somebody's words may mean.
package struct NamedDocument: Sendable {
    package var id: Int64
    package var batch: String
    package var path: String
    package var pageCount: Int
}
