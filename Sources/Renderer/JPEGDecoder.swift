private import CPictures
import Rendering

/// One run of libjpeg over a picture in memory; errors and warnings are kept, never thrown across C.
final class JPEGDecoder {
    private let handle: OpaquePointer
    private(set) var lost = LostRows()

    /// Reads all before the pixels; the bytes must outlive this object.
    init(_ bytes: UnsafeRawBufferPointer) throws(RenderError) {
        guard let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self),
            let handle = quire_jpeg_open(start, bytes.count)
        else { throw RenderError(.tooLarge, "libjpeg found no memory: raise --render-memory.") }
        self.handle = handle
        guard quire_jpeg_read_head(handle) == 1 else { throw failure }
    }

    deinit { quire_jpeg_close(handle) }

    private var facts: quire_jpeg_facts { quire_jpeg_look(handle).pointee }

    var width: Int { Int(facts.width) }
    var height: Int { Int(facts.height) }
    var outputWidth: Int { Int(facts.output_width) }
    var outputHeight: Int { Int(facts.output_height) }
    /// Colours or inks a pixel.
    var components: Int { Int(facts.components) }
    /// The rows are decoded one after the other, rather than all of them with each scan.
    var isSequential: Bool { facts.has_several_scans == 0 }

    /// Nil where the file has no JFIF head, or gives only a ratio.
    var jfifDPI: Double? {
        switch facts.density_unit {
        case 1: Resolution.dpi(Double(facts.x_density), .inch)
        case 2: Resolution.dpi(Double(facts.x_density), .centimetre)
        default: nil
        }
    }

    /// Down; `jfifDPI` is along.
    var jfifDPIDown: Double? {
        switch facts.density_unit {
        case 1: Resolution.dpi(Double(facts.y_density), .inch)
        case 2: Resolution.dpi(Double(facts.y_density), .centimetre)
        default: nil
        }
    }

    /// From "Exif\0\0" on; empty where there is none.
    var exifBlock: [UInt8] {
        var count = 0
        guard let start = quire_jpeg_exif(handle, &count) else { return [] }
        return Array(UnsafeBufferPointer(start: start, count: count))
    }

    /// Decodes at 1/`scale` and hands each row to `use` as it comes; returns why it could not go on.
    ///
    /// Rows that are made up are not handed out, as far as is known by then; `lost` has all of them afterwards.
    func decode(scale: Int, asInks: Bool, use: (Int, UnsafeMutablePointer<UInt8>) -> Void) -> RenderError? {
        guard quire_jpeg_start(handle, Int32(scale), asInks ? 1 : 0) == 1 else { return failure }
        let count = outputHeight
        var stop: RenderError?
        var reached = count
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: max(1, outputWidth * (asInks ? 4 : 3))) { row in
            guard let start = row.baseAddress else { return }
            for y in 0..<count {
                guard quire_jpeg_read_row(handle, start) == 1 else {
                    (stop, reached) = (failure, y)
                    return
                }
                if quire_jpeg_row_is_lost(handle, UInt32(y)) == 0 { use(y, start) }
            }
        }
        for y in 0..<reached where quire_jpeg_row_is_lost(handle, UInt32(y)) == 1 { lost.add(y) }
        if reached < count { lost.add(reached..<count) }
        if stop == nil, quire_jpeg_finish(handle) == 0 { stop = failure }
        return stop
    }

    /// The bytes before the last marker that libjpeg reached: without what follows it reads the others.
    func soundLength(_ bytes: UnsafeRawBufferPointer) -> Int {
        var place = min(Int(facts.problem_offset), bytes.count) - 2
        while place > 2 {
            let code = bytes[place + 1]
            if bytes[place] == 0xFF, code != 0, code != 0xFF, !(0xD0...0xD7).contains(code) { return place }
            place -= 1
        }
        return 0
    }

    /// What libjpeg warned of, if anything; a missing end marker is no warning where all rows have come.
    var warning: String? {
        let facts = facts
        if facts.warnings > 0 { return message }
        return facts.is_coarse == 1 ? "the file ends too early" : nil
    }

    /// Whether scans that refine the picture, or colour it, are missing.
    var isCoarse: Bool { facts.is_coarse == 1 }

    private var message: String {
        withUnsafeBytes(of: facts.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    private var failure: RenderError {
        switch facts.problem {
        case QUIRE_JPEG_UNSUPPORTED:
            RenderError(
                .unsupported,
                "This kind of JPEG (\(message)) is not read: convert it to an 8-bit baseline or progressive JPEG, to "
                    + "PNG or to TIFF.")
        case QUIRE_JPEG_MEMORY:
            RenderError(
                .tooLarge, "The JPEG picture does not fit into the memory limit (\(message)): raise --render-memory.")
        default:
            RenderError(
                .damaged, "The JPEG file is cut off or damaged (\(message)): copy it again from its source.")
        }
    }

    /// What is wrong with the picture that was decoded at 1/`scale`, begun small.
    func damage(scale: Int) -> String {
        let reason = warning ?? reason
        if !lost.isEmpty { return "\(lost.text(of: height, scale: scale)) could not be decoded: \(reason)" }
        if isCoarse { return "not all passes over the picture came, it is coarser than it was: \(reason)" }
        return "all rows were decoded, but parts of the picture may be wrong: \(reason)"
    }

    /// libjpeg's own words.
    var reason: String { message }
}
