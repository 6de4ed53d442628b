/// How a page ended; stored in `page.state`.
///
/// A page without a row is still to be done.
package enum PageState: String, Sendable, Codable, CaseIterable {
    case done
    /// Nothing is printed on it; it was not recognised.
    case blank
    /// It cannot be read, or every attempt failed; `page.error` says why.
    case failed
    /// Workers died on it repeatedly; it is kept away from them until it is retried by hand.
    case quarantined
}

/// One page's result as a worker hands it over.
package struct PageOutcome: Sendable {
    package enum Result: Sendable {
        case recognised(RecognisedPage)
        case blank(PageFacts)
        /// `isPermanent`: trying again cannot help (a damaged file), so the page fails at once.
        case failed(reason: String, isPermanent: Bool)
    }

    /// Counted from 1.
    package var page: Int
    package var result: Result
    /// What is wrong with the page although it is done or blank; those of a page that failed are not stored.
    package var notes: [PageNote]

    package init(page: Int, result: Result, notes: [PageNote] = []) {
        self.page = page
        self.result = result
        self.notes = notes
    }
}

/// The page image that was recognised; all boxes are in its pixels.
package struct PageFacts: Sendable, Hashable, Codable {
    package var width: Int
    package var height: Int
    /// Dots an inch, nil where the file does not say.
    package var dpi: Double?
    package var renderSeconds: Double

    package init(width: Int, height: Int, dpi: Double?, renderSeconds: Double) {
        self.width = width
        self.height = height
        self.dpi = dpi
        self.renderSeconds = renderSeconds
    }
}

/// Text and layout of one page, and how they came about.
package struct RecognisedPage: Sendable {
    package var facts: PageFacts
    /// Markdown without layout tags; figures are linked as `images/NAME`.
    package var markdown: String
    /// A JSON array of layout blocks: `{"label", "boxes": [[x1, y1, x2, y2]], "text"}`, boxes in pixels of the page image.
    package var layoutJSON: String
    /// The model's own text, special tokens included.
    package var rawText: String
    package var figures: [Figure]
    package var promptTokens: Int
    package var outputTokens: Int
    /// False where the token limit cut the text off.
    package var reachedEnd: Bool
    package var encodeSeconds: Double
    package var prefillSeconds: Double
    package var decodeSeconds: Double

    package init(
        facts: PageFacts, markdown: String, layoutJSON: String, rawText: String, figures: [Figure],
        promptTokens: Int, outputTokens: Int, reachedEnd: Bool,
        encodeSeconds: Double, prefillSeconds: Double, decodeSeconds: Double
    ) {
        self.facts = facts
        self.markdown = markdown
        self.layoutJSON = layoutJSON
        self.rawText = rawText
        self.figures = figures
        self.promptTokens = promptTokens
        self.outputTokens = outputTokens
        self.reachedEnd = reachedEnd
        self.encodeSeconds = encodeSeconds
        self.prefillSeconds = prefillSeconds
        self.decodeSeconds = decodeSeconds
    }
}

/// A picture cut out of a page.
package struct Figure: Sendable, Hashable {
    /// The file name that the Markdown links, such as `p0007-0.jpg`.
    package var name: String
    package var jpeg: [UInt8]

    package init(name: String, jpeg: [UInt8]) {
        self.name = name
        self.jpeg = jpeg
    }
}
