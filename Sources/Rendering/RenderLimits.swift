/// What one `quire-render` may use: a hostile or broken document runs into these and costs one page.
package struct RenderLimits: Sendable, Hashable {
    /// Address space of the child, bytes.
    package var memoryBytes: Int
    /// Wall clock and processor seconds for opening the document, and again for each page.
    package var secondsPerPage: Double
    /// Largest page image, in pixels; checked before anything is allocated.
    package var maxPixels: Int
    /// Dots an inch for PDF pages that are not scans.
    package var pdfDPI: Int

    /// Who draws PDF pages; one of them alone only for comparisons.
    package var pdfRenderer = PDFRenderer.either

    package enum PDFRenderer: Int, Sendable {
        /// cairo, and Splash where that shows more.
        case either = 0
        case cairo = 1
        case splash = 2
    }

    /// Whether what is transparent in a PNG shows its hidden colours, as in the model's published code, rather than paper.
    ///
    /// For comparisons with that code only: there text on a transparent ground is black on black.
    package var dropsAlpha = false

    /// What is nil is as usual.
    package init(
        memoryBytes: Int? = nil, secondsPerPage: Double? = nil, maxPixels: Int? = nil, pdfDPI: Int? = nil
    ) {
        self.memoryBytes = memoryBytes ?? 2 << 30
        self.secondsPerPage = secondsPerPage ?? 60
        self.maxPixels = maxPixels ?? 64_000_000
        self.pdfDPI = pdfDPI ?? 144
    }

    /// `secondsPerPage` rounded up, between a second and a day, whatever it was set to.
    package var wholeSecondsPerPage: Int {
        secondsPerPage < 86_400 ? Int(max(1, secondsPerPage.rounded(.up))) : 86_400
    }
}

// What messages about a limit say: its setting, and what that is now.
extension RenderLimits {
    package var memorySetting: String { "--render-memory (now \(memoryBytes >> 20) MiB)" }
    package var secondsSetting: String { "--render-seconds (now \(wholeSecondsPerPage))" }
    package var pixelsSetting: String { "--max-pixels (now \(Self.grouped(maxPixels)))" }

    /// Thousands set off by commas.
    private static func grouped(_ number: Int) -> String {
        let digits = Array(String(number))
        return digits.indices.map { place in
            (place > 0 && (digits.count - place) % 3 == 0 ? "," : "") + String(digits[place])
        }.joined()
    }
}
