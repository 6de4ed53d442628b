/// What is wrong with a page that is drawn all the same, or with a document that is opened all the same.
package struct RenderNote: Sendable, Hashable {
    /// What kind of thing it is; the raw values are stored and exported.
    package enum Code: String, Sendable, CaseIterable {
        /// Part of a picture is not decoded.
        case pictureDamaged = "picture-damaged"
        /// Something that the page refers to is missing or cannot be read, or its own instructions are damaged.
        case contentDamaged = "content-damaged"
        /// The file's structure is damaged and was rebuilt: more may be missing than shows.
        case structureDamaged = "structure-damaged"
        /// An embedded font is damaged: its text is missing, or is drawn in another.
        case fontDamaged = "font-damaged"
        /// Characters for which no font on the machine has a glyph.
        case glyphsMissing = "glyphs-missing"
        /// Something on the page is of a kind that the parsers do not draw.
        case unsupported = "unsupported"
        /// The picture has fewer pixels than the file holds.
        case pictureReduced = "picture-reduced"
        /// The page is drawn at fewer dots an inch than was asked for, or than its pictures have.
        case resolutionReduced = "resolution-reduced"
        /// The page's boxes contradict each other.
        case boxesDisagree = "boxes-disagree"
        /// The picture is light on a transparent ground, and is shown on black.
        case transparentGround = "transparent-ground"
        /// Of the document: the number of pages that it states is not that of the pages that it holds.
        case pageCount = "page-count"
        /// Of the document: files attached to it, which are not read.
        case attachments
    }

    package let code: Code
    /// A sentence for people, without file name and page.
    package let text: String

    package init(_ code: Code, _ text: String) {
        self.code = code
        self.text = text
    }

    /// Whether something may be missing from the drawn page: without ink it then is no blank page.
    package var leavesDoubt: Bool {
        switch code {
        case .pictureDamaged, .contentDamaged, .structureDamaged, .fontDamaged, .glyphsMissing, .unsupported: true
        case .pictureReduced, .resolutionReduced, .boxesDisagree, .transparentGround, .pageCount, .attachments: false
        }
    }
}

extension RenderNote {
    /// The payload of a `note` message: the code, a line feed, the sentence.
    package var payload: [UInt8] { Array("\(code.rawValue)\n\(text)".utf8) }

    /// Reads a payload; nil where the code is unknown.
    package init?(payload: [UInt8]) {
        let parts = payload.split(separator: 10, maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let code = Code(rawValue: String(decoding: parts[0], as: UTF8.self)) else { return nil }
        self.init(code, String(decoding: parts[1], as: UTF8.self).cleaned(upTo: 600))
    }
}
