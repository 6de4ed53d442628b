import Mutations
import Rendering
import SystemPackage

/// Another program that draws PDF pages, at the size that Quire's have.
enum ReferenceRenderer: CaseIterable {
    case pdftoppm
    case pdfium

    struct Page {
        let image: PageImage
        let seconds: Double
        let peakBytes: Int
    }

    var name: String {
        switch self {
        case .pdftoppm: "pdftoppm"
        case .pdfium: "pdfium"
        }
    }

    /// A page drawn; nil where the program draws none.
    ///
    /// pdfium needs a Python with pypdfium2.
    func page(_ file: FilePath, _ number: Int, like image: PageImage, python: String?, in folder: FilePath) -> Page? {
        let target = folder.appending("page.ppm")
        try? ToolRun.write([], to: target)
        let password = ToolRun.bytes(of: FilePath(file.string + ".password")).map {
            String(decoding: $0.prefix { $0 != 10 && $0 != 13 }, as: UTF8.self)
        }
        let run: ToolRun?
        switch self {
        case .pdftoppm:
            run = ToolRun.run(
                "pdftoppm",
                [
                    "-f", "\(number)", "-l", "\(number)", "-singlefile", "-scale-to-x", "\(image.width)", "-scale-to-y",
                    "\(image.height)", "-cropbox",
                ] + (password.map { ["-upw", $0] } ?? []) + [file.string, folder.appending("page").string],
                in: folder, within: 120)
        case .pdfium:
            guard let python else { return nil }
            run = ToolRun.run(
                python,
                ["tools/pdfium-page", file.string, "\(number)", "\(image.width)", "\(image.height)", target.string]
                    + (password.map { [$0] } ?? []), in: folder, within: 120)
        }
        guard let run, run.status == 0, let bytes = ToolRun.bytes(of: target), let drawn = Self.image(ppm: bytes) else {
            return nil
        }
        // Starting Python is no part of drawing; the script says what is.
        let seconds = self == .pdfium ? Double(String(decoding: run.output, as: UTF8.self).trimmed) : nil
        return Page(image: drawn, seconds: seconds ?? run.seconds, peakBytes: run.peakBytes)
    }

    /// A picture of the kind P6 with 8 bits a sample.
    static func image(ppm bytes: [UInt8]) -> PageImage? {
        var place = 0
        var words: [String] = []
        while words.count < 4, place < min(bytes.count, 200) {
            let end = bytes[place...].firstIndex { $0 == 10 || $0 == 32 } ?? bytes.count
            words.append(String(decoding: bytes[place..<end], as: UTF8.self))
            place = end + 1
        }
        guard words.count == 4, words[0] == "P6", words[3] == "255", let width = Int(words[1]),
            let height = Int(words[2]), bytes.count - place == width * height * 3
        else { return nil }
        return PageImage(width: width, height: height, bytes: Array(bytes[place...]), dpi: nil)
    }

    /// The mean of the differences of all samples, of 255; nil where sizes differ.
    static func difference(_ one: PageImage, _ other: PageImage) -> Double? {
        guard one.width == other.width, one.height == other.height else { return nil }
        let sum = one.bytes.withUnsafeBufferPointer { left in
            other.bytes.withUnsafeBufferPointer { right in
                left.indices.reduce(0) { $0 &+ abs(Int(left[$1]) &- Int(right[$1])) }
            }
        }
        return Double(sum) / Double(max(1, one.bytes.count))
    }
}

extension String {
    fileprivate var trimmed: String { split(whereSeparator: \.isWhitespace).joined() }
}
