internal import Rendering

/// Notes for people, by their codes.
enum NoteText {
    /// What the code says; the code itself where a later version of Quire wrote it.
    static func words(_ code: String) -> String {
        switch RenderNote.Code(rawValue: code) {
        case .pictureDamaged: "part of a picture is missing"
        case .contentDamaged: "something on the page is damaged or missing"
        case .structureDamaged: "the file's structure is damaged and was rebuilt"
        case .fontDamaged: "a font is damaged"
        case .glyphsMissing: "characters have no glyph"
        case .unsupported: "something is of a kind that is not drawn"
        case .pictureReduced: "a picture was reduced while it was read"
        case .resolutionReduced: "drawn at fewer dots an inch"
        case .boxesDisagree: "the boxes of the page contradict each other"
        case .transparentGround: "a light picture without a ground is shown on black"
        case .pageCount: "the file states another number of pages than it holds"
        case .attachments: "attached files are not read"
        case nil: OneLine.text(code)
        }
    }

    /// Such as `3 pages, 1 document`.
    static func count(pages: Int, documents: Int) -> String {
        [(pages, "page"), (documents, "document")].filter { $0.0 > 0 }.map { NumberText.count($0.0, $0.1) }
            .joined(separator: ", ")
    }

    /// Such as `3 pages: part of a picture is missing (such as letters: a.pdf:7)`.
    static func line(_ code: String, pages: Int, documents: Int, example: String) -> String {
        "\(count(pages: pages, documents: documents)): \(words(code)) (such as \(example))"
    }
}
