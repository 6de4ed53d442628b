/// What one `quire-render` is asked to do: its arguments, written by the parent and read by the child.
///
/// Files come by descriptor, so that names never matter: 3 is the document (for `jpeg` a `CropOrder` and pixels, for
/// `inspect` a socket through which documents come), 4 the password where there is one.
package struct RenderRequest: Sendable, Equatable {
    package enum Command: String, Sendable {
        /// Say the format and the number of pages of one document after the other.
        ///
        /// Each comes as a message with the document's descriptor, and the password's where there is one. An `opened`
        /// message of 0 pages says at the beginning that the limits are in force.
        case inspect
        /// Render pages `first` to `last`.
        case pages
        /// Cut boxes out of a page image.
        case jpeg
        /// Draw text in a font that is not embedded and look for ink.
        case selfTest = "self-test"
        /// Draw characters of the `TestedScript`s, none of whose fonts is embedded; a note names each that is not drawn.
        case fontTest = "font-test"
        /// Make a PNG file of a page image: a `CropOrder` without boxes.
        case png
    }

    package static let documentDescriptor: Int32 = 3
    package static let passwordDescriptor: Int32 = 4

    package var command: Command
    /// Pages counted from 1, both included.
    package var first: Int
    package var last: Int
    package var hasPassword: Bool
    package var limits: RenderLimits
    /// The process that must live for the child to go on.
    package var parent: Int32

    package init(
        _ command: Command, first: Int = 1, last: Int = 1, hasPassword: Bool = false, limits: RenderLimits,
        parent: Int32
    ) {
        self.command = command
        self.first = first
        self.last = last
        self.hasPassword = hasPassword
        self.limits = limits
        self.parent = parent
    }

    /// The arguments without the program's name.
    package var arguments: [String] {
        [
            command.rawValue, "first=\(first)", "last=\(last)", "password=\(hasPassword ? 1 : 0)",
            "memory=\(limits.memoryBytes)", "seconds=\(limits.wholeSecondsPerPage)",
            "pixels=\(limits.maxPixels)", "dpi=\(limits.pdfDPI)",
            "renderer=\(limits.pdfRenderer.rawValue)", "alpha=\(limits.dropsAlpha ? 0 : 1)", "parent=\(parent)",
        ]
    }

    /// Reads the arguments; nil where they are not as `arguments` writes them.
    package init?(arguments: some Collection<String>) {
        guard let name = arguments.first, let command = Command(rawValue: name) else { return nil }
        var values: [Substring: Int] = [:]
        for argument in arguments.dropFirst() {
            let parts = argument.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, let value = Int(parts[1]), value >= 0 else { return nil }
            values[parts[0]] = value
        }
        guard let first = values["first"], let last = values["last"], first >= 1, last >= first,
            let password = values["password"], let memory = values["memory"], let seconds = values["seconds"],
            let pixels = values["pixels"], let dpi = values["dpi"], dpi >= 1,
            let alpha = values["alpha"],
            let renderer = values["renderer"].flatMap({ RenderLimits.PDFRenderer(rawValue: $0) }),
            let parent = values["parent"].flatMap({ Int32(exactly: $0) })
        else { return nil }
        self.command = command
        self.first = first
        self.last = last
        hasPassword = password == 1
        limits = RenderLimits(
            memoryBytes: memory, secondsPerPage: Double(seconds), maxPixels: pixels, pdfDPI: dpi)
        limits.pdfRenderer = renderer
        limits.dropsAlpha = alpha == 0
        self.parent = parent
    }
}
