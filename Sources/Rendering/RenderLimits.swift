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

    package init(
        memoryBytes: Int = 2 << 30, secondsPerPage: Double = 60, maxPixels: Int = 100_000_000, pdfDPI: Int = 144
    ) {
        self.memoryBytes = memoryBytes
        self.secondsPerPage = secondsPerPage
        self.maxPixels = maxPixels
        self.pdfDPI = pdfDPI
    }

    /// `secondsPerPage` rounded up, between a second and a day, whatever it was set to.
    package var wholeSecondsPerPage: Int {
        secondsPerPage < 86_400 ? Int(max(1, secondsPerPage.rounded(.up))) : 86_400
    }
}
