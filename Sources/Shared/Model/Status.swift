/// A batch's progress, as `quire status` shows it and writes it as JSON.
package struct BatchStatus: Sendable, Codable, Identifiable {
    package struct Documents: Sendable, Codable, Hashable {
        /// Distinct documents that can be read, whatever their number of copies.
        package var total = 0
        /// All their pages are done or blank.
        package var complete = 0
        /// All their pages are settled, at least one of them failed or quarantined.
        package var withFailures = 0
        package var pending = 0
        /// Files that should be documents and cannot be read.
        package var unreadable = 0
        /// Files of other kinds.
        package var ignored = 0

        package init() {}
    }

    package struct Pages: Sendable, Codable, Hashable {
        package var total = 0
        package var done = 0
        package var blank = 0
        package var failed = 0
        package var quarantined = 0
        /// No file is left from which they can be read.
        package var stranded = 0
        /// Of those done and blank, the ones with notes: something is wrong with them all the same.
        package var noted = 0
        /// Not settled yet; `leased` of them are in a worker's hands.
        package var pending = 0
        package var leased = 0

        package init() {}
    }

    package var id: Int64
    package var name: String
    package var state: BatchState
    package var priority: Int
    package var pipeline: Pipeline
    package var documents: Documents
    package var pages: Pages
    /// Pages settled a minute, over the last minutes with work; nil when there were none.
    package var pagesPerMinute: Double?
    /// Estimated seconds left; nil when it cannot be told.
    package var secondsLeft: Double?
    /// Why its counts are not brought up to date; nil where they are.
    package var countsProblem: String?

    package init(
        id: Int64, name: String, state: BatchState, priority: Int, pipeline: Pipeline, documents: Documents,
        pages: Pages, pagesPerMinute: Double?, secondsLeft: Double?, countsProblem: String? = nil
    ) {
        self.id = id
        self.name = name
        self.state = state
        self.priority = priority
        self.pipeline = pipeline
        self.documents = documents
        self.pages = pages
        self.pagesPerMinute = pagesPerMinute
        self.secondsLeft = secondsLeft
        self.countsProblem = countsProblem
    }

    /// Nothing is left to do.
    package var isFinished: Bool { pages.pending == 0 }
}

/// A worker as `quire status` shows it.
package struct WorkerStatus: Sendable, Codable {
    package var id: Int64
    package var name: String
    package var host: String
    package var pid: Int32
    package var device: String
    package var version: String
    package var modelDigest: String
    package var secondsSinceSeen: Double
    package var leasedPages: Int
    /// It was asked to leave, and gets no more pages.
    package var isDraining: Bool
    /// Names of the roots that it knows; nil for workers of earlier versions.
    package var roots: [String]?
    package var engineVersion: String
    /// What it rounds weights to.
    package var precision: String
    /// What is wrong with it or its machine, for which it claims nothing, and since when (ISO 8601, UTC).
    package var unwell: String?
    package var unwellSince: String?

    package init(
        id: Int64, name: String, host: String, pid: Int32, device: String, version: String, modelDigest: String,
        secondsSinceSeen: Double, leasedPages: Int, isDraining: Bool = false, roots: [String]? = nil,
        engineVersion: String? = nil, precision: String = Pipeline.defaultPrecision, unwell: String? = nil,
        unwellSince: String? = nil
    ) {
        self.id = id
        self.name = name
        self.host = host
        self.pid = pid
        self.device = device
        self.version = version
        self.modelDigest = modelDigest
        self.secondsSinceSeen = secondsSinceSeen
        self.leasedPages = leasedPages
        self.isDraining = isDraining
        self.roots = roots
        self.engineVersion = engineVersion ?? version
        self.precision = precision
        self.unwell = unwell
        self.unwellSince = unwellSince
    }
}
