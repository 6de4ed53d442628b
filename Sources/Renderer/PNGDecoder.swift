private import CPictures
private import Glibc
import Rendering

/// One run of libpng over a picture in memory; errors are kept, never thrown across C.
final class PNGDecoder {
    private let handle: OpaquePointer
    private(set) var lost = LostRows()
    /// Passes of an interlaced picture are missing: it is coarser than it was.
    private(set) var isCoarse = false

    /// Reads all before the pixels; the bytes must outlive this object.
    init(_ bytes: UnsafeRawBufferPointer) throws(RenderError) {
        guard let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self),
            let handle = quire_png_open(start, bytes.count)
        else { throw RenderError(.tooLarge, "libpng found no memory: raise --render-memory.") }
        self.handle = handle
        guard quire_png_read_head(handle) == 1 else { throw failure }
    }

    deinit { quire_png_close(handle) }

    private var facts: quire_png_facts { quire_png_look(handle).pointee }

    var width: Int { Int(facts.width) }
    var height: Int { Int(facts.height) }
    /// 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
    var channels: Int { Int(facts.channels) }
    /// Samples are 16-bit integers.
    var isWide: Bool { facts.sample_bytes == 2 }
    var rowBytes: Int { facts.row_bytes }
    var dpi: (x: Double?, y: Double?) {
        let (x, y) = (facts.x_density, facts.y_density)
        return (x > 0 ? Resolution.dpi(Double(x), .metre) : nil, y > 0 ? Resolution.dpi(Double(y), .metre) : nil)
    }

    /// From "Exif\0\0" on; empty where there is none.
    var exifBlock: [UInt8] {
        var count = 0
        guard let start = quire_png_exif(handle, &count) else { return [] }
        return Array("Exif\0\0".utf8) + UnsafeBufferPointer(start: start, count: count)
    }

    /// Hands each row to `use`, until that returns false; what cannot be decoded is in `lost` and not handed out.
    func decode(_ limits: RenderLimits, use: (Int, UnsafeMutableRawPointer) -> Bool) throws(RenderError) {
        let facts = facts
        let rows = facts.is_interlaced == 1 ? height : 1
        let (count, overflow) = rows.multipliedReportingOverflow(by: rowBytes)
        guard !overflow, let memory = malloc(count) else {
            throw RenderError(
                .tooLarge,
                "The \(rows > 1 ? "interlaced " : "")PNG picture of \(width) x \(height) pixels does not fit into "
                    + "memory: raise \(limits.memorySetting), or save it without interlacing.")
        }
        defer { free(memory) }
        guard facts.is_interlaced == 1 else {
            for y in 0..<height {
                guard quire_png_read_row(handle, memory.assumingMemoryBound(to: UInt8.self)) == 1 else {
                    if self.facts.problem == QUIRE_PNG_MEMORY { throw failure }
                    return lost.add(y..<height)
                }
                guard use(y, memory) else { return }
            }
            return
        }
        var known = height
        passes: for pass in 0..<Int(facts.passes) {
            for y in 0..<height {
                let row = memory.advanced(by: y * rowBytes).assumingMemoryBound(to: UInt8.self)
                guard quire_png_read_row(handle, row) == 1 else {
                    if self.facts.problem == QUIRE_PNG_MEMORY { throw failure }
                    if pass == 0 { known = y } else { isCoarse = true }
                    break passes
                }
            }
        }
        lost.add(known..<height)
        for y in 0..<known {
            guard use(y, memory.advanced(by: y * rowBytes)) else { return }
        }
    }

    /// Reads on to the end of the file, for its check sums.
    func finish() { _ = quire_png_finish(handle) }

    /// What is wrong with a picture that was decoded, begun small; nil where nothing is.
    var damage: String? {
        let facts = facts
        if !lost.isEmpty { return "\(lost.text(of: height)) could not be decoded: \(reason)" }
        if isCoarse { return "not all passes over the picture came, it is coarser than it was: \(reason)" }
        guard facts.problem != QUIRE_PNG_NONE || facts.is_doubtful == 1 else { return nil }
        return "all rows were decoded, but parts of the picture may be wrong: \(reason)"
    }

    /// libpng's own words.
    var reason: String {
        withUnsafeBytes(of: facts.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    var failure: RenderError {
        if facts.problem == QUIRE_PNG_MEMORY {
            return RenderError(
                .tooLarge, "The PNG picture does not fit into the memory limit (\(reason)): raise --render-memory.")
        }
        return RenderError(.damaged, "The PNG file is cut off or damaged (\(reason)): copy it again from its source.")
    }
}
