/// What an export writes for each document, besides its manifest and its figures.
package enum ExportFormat: String, Sendable, Codable, CaseIterable {
    /// `document.md`.
    case markdown
    /// `pages.json`: layout, text and provenance of each page.
    case json
}
