/// The formats that are read, by the names that the database has.
package enum DocumentFormatName: String, Sendable, Codable, CaseIterable {
    case pdf
    case tiff
    case png
    case jpeg
}

/// What is known of a document before its pages are rendered.
package struct DocumentSummary: Sendable, Hashable {
    package let format: DocumentFormatName
    /// At least 1.
    package let pageCount: Int

    package init(format: DocumentFormatName, pageCount: Int) {
        self.format = format
        self.pageCount = pageCount
    }
}
