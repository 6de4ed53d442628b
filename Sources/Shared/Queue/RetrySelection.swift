/// Which pages of a batch to recognise again.
package enum RetrySelection: Sendable, Hashable {
    /// All that failed or are quarantined.
    case failed
    /// Those of one document that failed, or all of it.
    case document(id: Int64, includingDone: Bool)
    /// One page, whatever its state.
    case page(document: Int64, page: Int)
}

/// A document that a path given by a person can mean.
package struct DocumentMatch: Sendable, Hashable {
    package var id: Int64
    package var location: SourceLocation
    package var pageCount: Int

    package init(id: Int64, location: SourceLocation, pageCount: Int) {
        self.id = id
        self.location = location
        self.pageCount = pageCount
    }
}
