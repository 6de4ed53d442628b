private import CTIFF
private import Glibc
import Rendering

/// A TIFF file, page by page, decoded by libtiff.
final class TIFFDocument: RenderableDocument {
    let pageCount: Int
    private let handle: OpaquePointer
    private let source: TIFFSource
    private let directories: TIFFDirectories

    init(_ input: InputFile) throws(RenderError) {
        directories = try TIFFDirectories(input)
        // A list that breaks off gets one page more, which says so: what is lost stays visible.
        pageCount = directories.pages.count + (directories.breaksOff ? 1 : 0)
        guard !directories.pages.isEmpty else {
            throw RenderError(
                .damaged, "The TIFF file has no page: it is cut off or damaged. Copy it again from its source.")
        }
        TIFFSetErrorHandler(nil)
        TIFFSetWarningHandler(nil)
        TIFFSetErrorHandlerExt { TIFFSource.from($0)?.note($1, $2, $3, isError: true) }
        TIFFSetWarningHandlerExt { TIFFSource.from($0)?.note($1, $2, $3, isError: false) }
        source = TIFFSource(input)
        // "h": read no directory yet; the first may be a damaged one.
        guard
            let handle = TIFFClientOpen(
                "document", "rhm", source.context, { TIFFSource.read($0, $1, $2) }, { _, _, _ in 0 },
                { TIFFSource.seek($0, $1, $2) }, { _ in 0 }, { TIFFSource.size($0) }, { _, _, _ in 0 }, { _, _, _ in })
        else {
            throw RenderError(
                .damaged,
                "The TIFF file cannot be opened (\(source.firstError ?? "no reason given")): copy it again from "
                    + "its source.")
        }
        self.handle = handle
    }

    deinit { TIFFClose(handle) }

    func render(_ page: Int, limits: RenderLimits, notes: PageNotes) throws(RenderError) -> PixelBuffer {
        guard page <= directories.pages.count else {
            throw RenderError(
                .damaged,
                "The TIFF file's list of pages breaks off here: the file is cut off or damaged, and pages may be "
                    + "missing. Copy it again from its source.")
        }
        source.forget()
        guard TIFFSetSubDirectory(handle, directories.pages[page - 1]) != 0 else { throw damage("cannot be read") }
        try checkCompression()
        let layout = try TIFFLayout(handle)
        try PixelBuffer.check(width: layout.width, height: layout.height, limits: limits)
        // What libtiff says from here on is about the pixels, not about tags.
        source.forget()
        var image = try PixelBuffer(width: layout.width, height: layout.height, dpi: layout.dpi, limits: limits)
        if layout.isDirect {
            try TIFFSamples(handle, layout).read(into: image) { damage("cannot be decoded") }
        } else {
            try readThroughRGBA(into: image)
        }
        if let loss = source.loss {
            throw RenderError(.damaged, "The page's image is cut off or damaged (\(loss)): copy the file again.")
        }
        // libtiff reports bad code words of fax data, and goes on with the next line.
        if let error = source.firstError {
            notes.add(
                .pictureDamaged, "The page's image is damaged (\(error)): parts of it are wrong or missing.")
        }
        image.dpi = layout.dpi
        return try image.upright(layout.orientation, limits: limits)
    }

    /// Throws where libtiff has no decoder for the page: such a page is whole.
    private func checkCompression() throws(RenderError) {
        var scheme: UInt16 = 0
        guard quire_tiff_short(handle, UInt32(TIFFTAG_COMPRESSION), &scheme) == 1, TIFFIsCODECConfigured(scheme) == 0
        else { return }
        let name =
            switch scheme {
            // Aperio's two and Leadtools' own number.
            case 33003, 33005, 34712: "JPEG 2000"
            case UInt16(COMPRESSION_LERC): "LERC"
            case UInt16(COMPRESSION_ZSTD): "Zstandard"
            case UInt16(COMPRESSION_WEBP): "WebP"
            case UInt16(COMPRESSION_JBIG): "JBIG"
            default: "compression \(scheme)"
            }
        throw RenderError(
            .unsupported,
            "This kind of TIFF (\(name)) is not read: convert it to one with LZW, Deflate or fax compression.")
    }

    /// libtiff's own conversion, for the rarer kinds of colour and compression.
    private func readThroughRGBA(into image: borrowing PixelBuffer) throws(RenderError) {
        var message = [CChar](repeating: 0, count: 1024)
        guard TIFFRGBAImageOK(handle, &message) != 0 else {
            throw RenderError(
                .unsupported,
                "This kind of TIFF (\(Self.text(message))) is not read: convert it to 8-bit grey or RGB.")
        }
        let reader = UnsafeMutablePointer<TIFFRGBAImage>.allocate(capacity: 1)
        reader.initialize(to: TIFFRGBAImage())
        defer { reader.deallocate() }
        guard TIFFRGBAImageBegin(reader, handle, 1, &message) != 0 else { throw damage("cannot be decoded") }
        defer { TIFFRGBAImageEnd(reader) }
        // As stored; the orientation is applied to all kinds alike afterwards.
        reader.pointee.req_orientation = reader.pointee.orientation
        let count = image.width * image.height
        guard let raster = calloc(count, 4)?.assumingMemoryBound(to: UInt32.self) else {
            throw PixelBuffer.outOfMemory(image.width, image.height)
        }
        defer { free(raster) }
        guard TIFFRGBAImageGet(reader, raster, UInt32(image.width), UInt32(image.height)) != 0 else {
            throw damage("cannot be decoded")
        }
        for pixel in 0..<count {
            // 0xAABBGGRR.
            let value = raster[pixel]
            image.bytes[pixel * 3] = UInt8(truncatingIfNeeded: value)
            image.bytes[pixel * 3 + 1] = UInt8(truncatingIfNeeded: value >> 8)
            image.bytes[pixel * 3 + 2] = UInt8(truncatingIfNeeded: value >> 16)
        }
    }

    private func damage(_ what: String) -> RenderError {
        RenderError(
            .damaged,
            "The page's image \(what) (\(source.firstError ?? "no reason given")): the file is cut off or "
                + "damaged. Copy it again from its source.")
    }

    private static func text(_ message: [CChar]) -> String {
        message.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
    }
}

/// The file and the messages as libtiff's callbacks find them.
private final class TIFFSource {
    private let input: InputFile
    private var offset = 0
    private(set) var firstError: String?
    /// A warning after which pixels are made up.
    private(set) var loss: String?

    init(_ input: InputFile) { self.input = input }

    /// For libtiff's context pointer; this object outlives its handle.
    var context: thandle_t { Unmanaged.passUnretained(self).toOpaque() }

    static func from(_ context: thandle_t?) -> TIFFSource? {
        context.map { Unmanaged<TIFFSource>.fromOpaque($0).takeUnretainedValue() }
    }

    func forget() {
        firstError = nil
        loss = nil
    }

    func note(
        _ module: UnsafePointer<CChar>?, _ format: UnsafePointer<CChar>?, _ values: CVaListPointer?, isError: Bool
    ) {
        guard let format, let values else { return }
        var text = [CChar](repeating: 0, count: 512)
        vsnprintf(&text, text.count, format, values)
        let sentence = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // No sound line of fax is longer or shorter than the page is wide; empty ones mark the end of a transmission.
        let isWrong =
            isError || sentence.contains("Line length mismatch")
            || (sentence.contains("Premature EOL") && !sentence.contains("(got 0,"))
        if isWrong, firstError == nil { firstError = sentence }
        // libtiff goes on with white rows, and libjpeg with grey ones, where compressed data end too early.
        let words = sentence.lowercased().split(separator: " ")
        if words.contains("premature"), !words.contains("eol"), loss == nil { loss = sentence }
    }

    static func read(_ context: thandle_t?, _ target: UnsafeMutableRawPointer?, _ count: tmsize_t) -> tmsize_t {
        guard let source = from(context), let target, count > 0, source.offset < source.input.size else { return 0 }
        let got = source.input.read(
            into: UnsafeMutableRawBufferPointer(start: target, count: Int(count)), at: source.offset)
        source.offset += got
        return tmsize_t(got)
    }

    static func seek(_ context: thandle_t?, _ offset: toff_t, _ origin: Int32) -> toff_t {
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

    static func size(_ context: thandle_t?) -> toff_t { toff_t(from(context)?.input.size ?? 0) }
}
