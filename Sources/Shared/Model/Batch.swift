private import SystemPackage

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

extension Batch {
    /// The name of a batch to which nobody gives one; the second of that name ends in "-2", and so on.
    static func baseName(of source: SourceLocation) -> String {
        source.path.lastComponent.map { $0.string } ?? source.root
    }

    /// Whether nobody gave a name to this batch, nor to one of the same source that is called `other`.
    package func isUnnamed(like other: String) -> Bool {
        let base = Self.baseName(of: source)
        return [name, other].allSatisfy { name in
            guard name.hasPrefix(base) else { return false }
            let rest = name.dropFirst(base.count)
            return rest.isEmpty || rest.first == "-" && Int(rest.dropFirst()) != nil
        }
    }
}
