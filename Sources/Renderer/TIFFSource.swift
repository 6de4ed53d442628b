private import CTIFF
private import Glibc
import Rendering

/// The file and the messages as libtiff's callbacks find them.
final class TIFFSource {
    let input: InputFile
    private var offset = 0
    /// The first thing that was wrong since the last `forget`.
    private(set) var problem: String?
    /// Fax data: lines of the strip, from 0, that are wrong though something was read.
    private(set) var wrongLines: [Int] = []
    /// Fax data: the first line whose code words are none.
    private(set) var badLine: Int?
    /// Fax data: the line in which they end too early.
    private(set) var endLine: Int?

    init(_ input: InputFile) { self.input = input }

    /// A handle of libtiff on the file, which must be closed before this object goes; no directory is read yet, as the
    /// first may be a damaged one.
    func open() -> OpaquePointer? {
        TIFFSetErrorHandler(nil)
        TIFFSetWarningHandler(nil)
        TIFFSetErrorHandlerExt { TIFFSource.from($0)?.note($2, $3, isError: true) }
        TIFFSetWarningHandlerExt { TIFFSource.from($0)?.note($2, $3, isError: false) }
        return TIFFClientOpen(
            "document", "rhm", Unmanaged.passUnretained(self).toOpaque(), { TIFFSource.read($0, $1, $2) },
            { _, _, _ in 0 }, { TIFFSource.seek($0, $1, $2) }, { _ in 0 },
            { toff_t(TIFFSource.from($0)?.input.size ?? 0) }, { _, _, _ in 0 }, { _, _, _ in })
    }

    private static func from(_ context: thandle_t?) -> TIFFSource? {
        context.map { Unmanaged<TIFFSource>.fromOpaque($0).takeUnretainedValue() }
    }

    func forget() {
        (problem, badLine, endLine) = (nil, nil, nil)
        if !wrongLines.isEmpty { wrongLines = [] }
    }

    private func note(_ format: UnsafePointer<CChar>?, _ values: CVaListPointer?, isError: Bool) {
        guard let format, let values else { return }
        var text = [CChar](repeating: 0, count: 512)
        vsnprintf(&text, text.count, format, values)
        let sentence = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard isError || Self.tellsOfLoss(sentence) else { return }
        if problem == nil { problem = sentence }
        guard let line = Self.line(sentence) else { return }
        if sentence.containsText("Premature EOF") {
            endLine = min(endLine ?? line, line)
        } else if isError {
            badLine = min(badLine ?? line, line)
            wrongLines.append(line)
        } else {
            wrongLines.append(line)
        }
    }

    /// Whether pixels are made up after a warning: of libtiff, which goes on with white rows, or of libjpeg, which goes
    /// on with grey ones.
    private static func tellsOfLoss(_ sentence: String) -> Bool {
        // No sound line of fax is longer or shorter than the page is wide; empty ones mark the end of a transmission.
        if sentence.containsText("Premature EOL") { return !sentence.containsText("(got 0,") }
        return ["Line length mismatch", "Premature ", "premature ", "Corrupt JPEG data", "Discarding"].contains {
            sentence.containsText($0)
        }
    }

    /// The line that a message such as "at line 17 of strip 3" names.
    private static func line(_ sentence: String) -> Int? {
        let words = sentence.split(separator: " ")
        guard let place = words.indices.dropFirst().first(where: { words[$0 - 1] == "line" }) else { return nil }
        return Int(words[place].prefix { $0.isNumber })
    }

    private static func read(_ context: thandle_t?, _ target: UnsafeMutableRawPointer?, _ count: tmsize_t) -> tmsize_t {
        guard let source = from(context), let target, count > 0, source.offset < source.input.size else { return 0 }
        let got = source.input.read(
            into: UnsafeMutableRawBufferPointer(start: target, count: Int(count)), at: source.offset)
        source.offset += got
        return tmsize_t(got)
    }

    private static func seek(_ context: thandle_t?, _ offset: toff_t, _ origin: Int32) -> toff_t {
        guard let source = from(context), let distance = Int(exactly: Int64(bitPattern: offset)) else { return .max }
        let start =
            switch origin {
            case SEEK_CUR: source.offset
            case SEEK_END: source.input.size
            default: 0
            }
        let (place, overflow) = start.addingReportingOverflow(distance)
        guard !overflow, place >= 0 else { return .max }
        source.offset = place
        return toff_t(place)
    }
}
