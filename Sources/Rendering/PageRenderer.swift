package import SystemPackage

/// Starts `quire-render` and checks every number that comes back.
package struct PageRenderer: Sendable {
    package var executable: FilePath

    package init(executable: FilePath) { self.executable = executable }
}

// Contract:
//   struct RenderLimits: Sendable { memoryBytes = 2 GiB, secondsPerPage = 60, maxPixels = 100_000_000, pdfDPI = 144 ... }
//   init(executable: FilePath, limits: RenderLimits = .init())
//   static func besideThisProgram() throws(RenderError) -> PageRenderer       (quire-render next to the running executable)
//   func inspect(_ file: FilePath) async throws(RenderError) -> DocumentSummary    // format: DocumentFormatName (String raw), pageCount
//   func session(_ file: FilePath, pages: ClosedRange<Int>, pdfDPI: Int) -> RenderSession
//   actor RenderSession { func next() async -> RenderedPage? ; func cancel() }   // RenderedPage { page, result: Result<PageImage, RenderError>, seconds }
//   func encodeJPEG(_ image: PageImage, boxes: [PixelBox], quality: Int = 90) async throws(RenderError) -> [[UInt8]]
//   func selfTest() async throws(RenderError)     // text is really drawn: fonts are there
