package import SystemPackage

/// Starts `quire-render` and checks every number that comes back.
package struct PageRenderer: Sendable {
    package var executable: FilePath
    package var limits: RenderLimits

    package init(executable: FilePath, limits: RenderLimits = RenderLimits()) {
        self.executable = executable
        self.limits = limits
    }

    /// The `quire-render` that lies beside the running program.
    package static func besideThisProgram(limits: RenderLimits = RenderLimits()) throws(RenderError) -> PageRenderer {
        throw RenderError(.broken, "Rendering is not built.")
    }

    /// Counts the pages of a document; reads the password from `<file name>.password` beside it where that exists.
    package func inspect(_ file: FilePath) async throws(RenderError) -> DocumentSummary {
        throw RenderError(.broken, "Rendering is not built.")
    }

    /// Renders a range of pages, counted from 1, in order.
    ///
    /// Nothing starts before the first `next()`. `pdfDPI` is that of the limits where it is nil.
    package func session(_ file: FilePath, pages: ClosedRange<Int>, pdfDPI: Int? = nil) -> RenderSession {
        RenderSession(file: file, pages: pages)
    }

    /// Cuts boxes out of a page image as JPEG files, one for each box in order.
    ///
    /// Parts outside the image are black. A box without area, or larger than JPEG allows, gives empty bytes.
    package func encodeJPEG(
        _ image: PageImage, boxes: [PixelBox], quality: Int = 90
    ) async throws(RenderError) -> [[UInt8]] {
        throw RenderError(.broken, "Rendering is not built.")
    }

    /// Throws unless text in a font that the document does not carry is really drawn: fonts are installed.
    package func selfTest() async throws(RenderError) {
        throw RenderError(.broken, "Rendering is not built.")
    }
}
