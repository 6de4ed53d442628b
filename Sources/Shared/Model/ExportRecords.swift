package import Digest

/// One file of a batch, as an export needs it.
package struct ExportFile: Sendable {
    package enum Content: Sendable {
        case document(id: Int64, sha256: SHA256Digest, format: DocumentFormat, pageCount: Int)
        case unreadable(reason: String)
        case ignored(reason: String)
        /// It is no longer in its folder.
        case gone(reason: String)
    }

    /// Pages that cannot be read, as no file leads to them.
    package struct Stranded: Sendable {
        package var ranges: [ClosedRange<Int>]
        /// What is wrong with the file.
        package var reason: String

        package init(ranges: [ClosedRange<Int>], reason: String) {
            self.ranges = ranges
            self.reason = reason
        }

        package func reason(of page: Int) -> String? { ranges.contains { $0.contains(page) } ? reason : nil }
    }

    /// The row's number.
    package var id: Int64
    package var location: SourceLocation
    package var content: Content
    /// Changes with every page of the document that is recognised, or recognised again; empty for other files.
    package var fingerprint: String
    package var stranded: Stranded?
    /// Of the document as a whole.
    package var notes: [PageNote]

    package init(
        id: Int64, location: SourceLocation, content: Content, fingerprint: String = "", stranded: Stranded? = nil,
        notes: [PageNote] = []
    ) {
        self.id = id
        self.location = location
        self.content = content
        self.fingerprint = fingerprint
        self.stranded = stranded
        self.notes = notes
    }
}

/// Where one file of a batch lies.
package struct ExportPlace: Sendable {
    package var id: Int64
    package var location: SourceLocation
    package var isDocument: Bool

    package init(id: Int64, location: SourceLocation, isDocument: Bool) {
        self.id = id
        self.location = location
        self.isDocument = isDocument
    }
}

/// One settled page, as an export needs it.
package struct ExportPage: Sendable {
    package var page: Int
    package var state: PageState
    /// Nil for pages that were never recognised.
    package var text: RecognisedPage?
    /// For blank pages too.
    package var facts: PageFacts?
    package var error: String?
    package var attempt: Int
    package var token: Int64
    package var workerName: String?
    package var pipeline: Pipeline
    /// ISO 8601, UTC.
    package var finishedAt: String
    /// The program that read the page; nil for pages of earlier versions.
    package var programVersion: String?
    /// The page is to be read again, and this is what there was before.
    package var isToBeReadAgain: Bool
    package var notes: [PageNote]

    package init(
        page: Int, state: PageState, text: RecognisedPage?, facts: PageFacts?, error: String?, attempt: Int,
        token: Int64, workerName: String?, pipeline: Pipeline, finishedAt: String, programVersion: String? = nil,
        isToBeReadAgain: Bool = false, notes: [PageNote] = []
    ) {
        self.page = page
        self.state = state
        self.text = text
        self.facts = facts
        self.error = error
        self.attempt = attempt
        self.token = token
        self.workerName = workerName
        self.pipeline = pipeline
        self.finishedAt = finishedAt
        self.programVersion = programVersion
        self.isToBeReadAgain = isToBeReadAgain
        self.notes = notes
    }
}
