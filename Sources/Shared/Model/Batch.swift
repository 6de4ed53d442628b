/// Whether a batch is worked on; stored in `batch.state`.
///
/// Whether a batch is finished is not a state: it follows from its pages.
package enum BatchState: String, Sendable, Codable, CaseIterable {
    case open
    case paused
    case cancelled
    /// Its deletion has begun, and goes on when it is ordered again; nothing else can be ordered.
    case deleting
}

/// One submission: a folder's documents, to be recognised by one pipeline.
package struct Batch: Sendable, Identifiable {
    package var id: Int64
    package var name: String
    package var state: BatchState
    /// Higher goes first.
    package var priority: Int
    package var pipeline: Pipeline
    /// The submitted folder; exports name documents by their paths below it.
    package var source: SourceLocation

    package init(id: Int64, name: String, state: BatchState, priority: Int, pipeline: Pipeline, source: SourceLocation)
    {
        self.id = id
        self.name = name
        self.state = state
        self.priority = priority
        self.pipeline = pipeline
        self.source = source
    }
}
