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
    /// What is to be said of the document as a whole, such as files attached to it.
    package let notes: [RenderNote]

    package init(format: DocumentFormatName, pageCount: Int, notes: [RenderNote] = []) {
        self.format = format
        self.pageCount = pageCount
        self.notes = notes
    }
}
