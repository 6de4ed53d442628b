private import Dispatch
private import Glibc
package import SystemPackage

/// Starts `quire-render` and checks every number that comes back.
package struct PageRenderer: Sendable {
    package var executable: FilePath
    package var limits: RenderLimits

    /// Where calls block on children: never on the cooperative pool.
    private static let queue = DispatchQueue(label: "quire.rendering", attributes: .concurrent)

    package init(executable: FilePath, limits: RenderLimits = RenderLimits()) {
        self.executable = executable
        self.limits = limits
    }

    /// The `quire-render` that lies beside the running program.
    package static func besideThisProgram(limits: RenderLimits = RenderLimits()) throws(RenderError) -> PageRenderer {
        var path = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let length = readlink("/proc/self/exe", &path, path.count - 1)
        guard length > 0 else { throw RenderError(lastErrorDuring: "say where this program lies") }
        let executable = FilePath(platformString: path).removingLastComponent().appending("quire-render")
        guard executable.withPlatformString({ access($0, X_OK) }) == 0 else {
            throw RenderError(
                .machine,
                "quire-render is missing: \(executable) is not there or cannot be executed. "
                    + "Build it (swift build) or install it beside this program.")
        }
        return PageRenderer(executable: executable, limits: limits)
    }

    /// Counts the pages of one document, in a child of its own; `DocumentInspector` is for many.
    package func inspect(_ file: FilePath) async throws(RenderError) -> DocumentSummary {
        try await DocumentInspector(self).inspect(file)
    }

    /// Counts the pages of an opened document, in a child of its own.
    package func inspect(_ source: SourceFile) async throws(RenderError) -> DocumentSummary {
        try await DocumentInspector(self).inspect(source)
    }

    /// Renders a range of pages, counted from 1, in order.
    ///
    /// Nothing starts before the first `next()`, the file is opened then. `pdfDPI` is that of the limits where it is nil.
    package func session(_ file: FilePath, pages: ClosedRange<Int>, pdfDPI: Int? = nil) -> RenderSession {
        session(pages, pdfDPI) { () throws(RenderError) in try SourceFile(file) }
    }

    /// Renders a range of pages of an opened document, counted from 1, in order.
    ///
    /// Nothing starts before the first `next()`. `pdfDPI` is that of the limits where it is nil.
    package func session(_ source: SourceFile, pages: ClosedRange<Int>, pdfDPI: Int? = nil) -> RenderSession {
        session(pages, pdfDPI) { source }
    }

    private func session(
        _ pages: ClosedRange<Int>, _ pdfDPI: Int?, _ open: @escaping @Sendable () throws(RenderError) -> SourceFile
    ) -> RenderSession {
        var limits = limits
        if let pdfDPI { limits.pdfDPI = pdfDPI }
        return RenderSession(SessionWork(executable: executable, pages: pages, limits: limits, open: open))
    }

    /// Cuts boxes out of a page image as JPEG files, one for each box in order.
    ///
    /// Parts outside the image are black. A box without area, or larger than JPEG allows, gives empty bytes.
    package func encodeJPEG(
        _ image: PageImage, boxes: [PixelBox], quality: Int = 90
    ) async throws(RenderError) -> [[UInt8]] {
        guard !boxes.isEmpty else { return [] }
        guard image.width > 0, image.height > 0, image.width <= limits.maxPixels / image.height,
            image.bytes.count == image.width * image.height * 3
        else {
            throw RenderError(
                .tooLarge,
                "The image to cut from is \(image.width) x \(image.height) pixels, which is beyond "
                    + "\(limits.pixelsSetting) or does not match its bytes.")
        }
        let order = CropOrder(
            width: image.width, height: image.height, quality: min(max(quality, 1), 100), boxes: boxes)
        return try await Self.blocking { () throws(RenderError) in
            let input = try Descriptor.memoryFile()
            try input.write(order.bytes)
            try input.write(image.bytes)
            let child = try RenderChild(executable, request(.jpeg), input: input, password: try .null())
            var files: [[UInt8]] = []
            for index in boxes.indices {
                let message = try child.next { header in
                    header.number == index ? 0...Self.longestJPEG : nil
                }
                guard message.header.status == .image else { throw child.error(of: message) }
                files.append(message.payload)
            }
            return files
        }
    }

    /// Throws unless text in a font that the document does not carry is really drawn: fonts are installed.
    package func selfTest() async throws(RenderError) {
        try await Self.blocking { () throws(RenderError) in
            try RenderChild.selfTest(executable, limits: limits)
        }
    }

    /// The scripts of which this machine has no font for documents that hold none; each is really drawn.
    package func undrawnScripts() async throws(RenderError) -> [TestedScript] {
        try await Self.blocking { () throws(RenderError) in
            let child = try RenderChild(executable, request(.fontTest), input: try .null(), password: try .null())
            let message = try child.next { _ in nil }
            guard message.header.status == .opened else { throw child.error(of: message) }
            return child.takeNotes().compactMap { TestedScript(rawValue: $0.text) }
        }
    }

    private static let longestJPEG = 1 << 29

    private func request(_ command: RenderRequest.Command) -> RenderRequest {
        RenderRequest(command, limits: limits, parent: getpid())
    }

    /// Runs what waits for children or for disks on a thread that may block.
    package static func blocking<T: Sendable, Failure: Error>(
        _ body: @escaping @Sendable () throws(Failure) -> T
    ) async throws(Failure) -> T {
        let result: Result<T, Failure> = await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: Result(catching: body)) }
        }
        return try result.get()
    }
}
