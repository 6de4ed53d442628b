package import Rendering
package import SystemPackage

/// What a format's own tool says against a file: sentences, without places and numbers.
///
/// PDF: pdftoppm's errors about one page; TIFF: tiffinfo -D, which decodes all; JPEG: djpeg; PNG: pngcheck.
package struct ReferenceVerdict: Sendable {
    /// Nothing where the tool is content.
    package let complaints: [String]

    /// The packages that hold the tools.
    package static let packages = "poppler-utils, libtiff-tools, libjpeg-turbo-progs and pngcheck"

    /// Asks the tool about a file; nil where it cannot be started.
    ///
    /// `page` matters for PDF alone.
    package init?(_ file: FilePath, _ format: DocumentFormatName, page: Int, in folder: FilePath) {
        let run: ToolRun?
        switch format {
        case .pdf:
            run = ToolRun.run(
                "pdftoppm", ["-r", "36", "-gray", "-f", "\(page)", "-l", "\(page)", file.string], in: folder, within: 30
            )
        case .tiff: run = ToolRun.run("tiffinfo", ["-D", file.string], in: folder, within: 30)
        case .jpeg: run = ToolRun.run("djpeg", [file.string], in: folder, within: 30)
        case .png: run = ToolRun.run("pngcheck", ["-q", file.string], in: folder, within: 30)
        }
        guard let run else { return nil }
        var lines = run.errors.split(separator: "\n").map(String.init)
        if format == .png {
            lines += String(decoding: run.output, as: UTF8.self).split(separator: "\n").map(String.init)
            // The last line only repeats that there was something.
            if lines.count > 1 { lines.removeAll { $0.hasPrefix("ERROR:") } }
        }
        if format == .pdf { lines.removeAll { $0.hasPrefix("Syntax Warning") } }
        if run.wasLate { lines.append("took longer than 30 seconds") }
        if run.status > 128, !run.wasLate { lines.append("was ended by signal \(run.status - 128)") }
        var seen: Set<String> = []
        complaints = lines.map { Self.general($0.replacing(file.string, with: "")) }.filter { seen.insert($0).inserted }
    }

    /// A sentence with numbers and what stands in quotation marks left out.
    private static func general(_ line: String) -> String {
        var text = ""
        var isNumber = false
        var isQuoted = false
        for character in line.prefix(200) {
            // An apostrophe within a word is none.
            if character == "\"" || character == "'" && (isQuoted || text.last?.isLetter != true) {
                isQuoted.toggle()
                if isQuoted { text += "'...'" }
                continue
            }
            if isQuoted { continue }
            if character.isNumber {
                if !isNumber { text.append("N") }
                isNumber = true
            } else {
                text.append(character)
                isNumber = false
            }
        }
        let words = text.split(separator: " ").joined(separator: " ")
        return words.hasPrefix(": ") ? String(words.dropFirst(2)) : words
    }
}
