/// What is wrong with a page that is done all the same, or with a document.
package struct PageNote: Sendable, Codable, Hashable {
    /// What kind of thing it is: a raw value of `RenderNote.Code`.
    package var code: String
    /// A sentence for people, without file name and page.
    package var text: String

    package init(code: String, text: String) {
        self.code = code
        self.text = text
    }
}

/// Pages and documents that have notes of one code.
package struct NoteGroup: Sendable, Codable, Hashable {
    package var code: String
    /// A page with several notes of the code counts once.
    package var pages: Int
    /// Documents that have it as a whole.
    package var documents: Int
    /// The latest example's text and place.
    package var text: String
    package var batch: String
    /// Below the batch's folder.
    package var path: String
    /// Nil for a whole document.
    package var page: Int?

    package init(
        code: String, pages: Int, documents: Int, text: String, batch: String, path: String, page: Int?
    ) {
        self.code = code
        self.pages = pages
        self.documents = documents
        self.text = text
        self.batch = batch
        self.path = path
        self.page = page
    }
}
