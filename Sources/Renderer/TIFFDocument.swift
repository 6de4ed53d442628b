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
        source = TIFFSource(input)
        guard let handle = source.open() else {
            throw RenderError(
                .damaged,
                "The TIFF file cannot be opened (\(source.problem ?? "no reason given")): copy it again from its "
                    + "source.")
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
        try checkKind()
        let layout = try TIFFLayout(handle)
        return try Ground.page(notes) { (ground, isTransparent) throws(RenderError) in
            try draw(layout, ground, &isTransparent, limits, notes)
        }
    }

    private func draw(
        _ layout: TIFFLayout, _ ground: Ground, _ isTransparent: inout Bool, _ limits: RenderLimits, _ notes: PageNotes
    ) throws(RenderError) -> PixelBuffer {
        guard layout.isDirect else {
            let sink = try sink(layout, limits)
            try readThroughRGBA(layout, into: sink, limits, notes)
            return try finish(sink, layout, notes, limits)
        }
        var range = layout.statedRange
        if layout.bitsPerSample == 16, range == nil {
            // The whole picture decides, as what is dark may come last.
            var pixels = TIFFPixels(layout, ground: ground.rawValue, range: nil)
            let sink = try sink(layout, limits)
            let damage = try read(layout, &pixels, into: sink, limits)
            let seen = SampleRange(least: Int(min(pixels.lowest, pixels.highest)), most: Int(pixels.highest))
            if seen == .full {
                try note(damage, layout, notes)
                isTransparent = pixels.sawTransparency
                return try finish(sink, layout, notes, limits)
            }
            range = seen
        }
        var pixels = TIFFPixels(layout, ground: ground.rawValue, range: range)
        let sink = try sink(layout, limits)
        let damage = try read(layout, &pixels, into: sink, limits)
        try note(damage, layout, notes)
        isTransparent = pixels.sawTransparency
        return try finish(sink, layout, notes, limits)
    }

    private func sink(_ layout: TIFFLayout, _ limits: RenderLimits) throws(RenderError) -> RowSink {
        try RowSink(
            width: layout.width, height: layout.height, dpi: layout.square.dpi, enlargement: layout.square.enlargement,
            limits: limits)
    }

    private func finish(
        _ sink: consuming RowSink, _ layout: TIFFLayout, _ notes: PageNotes, _ limits: RenderLimits
    ) throws(RenderError) -> PixelBuffer {
        let image = try layout.square.apply(sink.finish(notes, limits: limits), limits: limits)
        return try image.upright(layout.orientation, limits: limits)
    }

    private func read(
        _ layout: TIFFLayout, _ pixels: inout TIFFPixels, into sink: borrowing RowSink, _ limits: RenderLimits
    ) throws(RenderError) -> TIFFDamage {
        source.forget()
        var rgb = [UInt8](repeating: 255, count: min(layout.width, 1 << 31) * 3)
        return try TIFFSamples(handle, source, layout, limits: limits).read { x, y, count, samples, planeBytes in
            rgb.withUnsafeMutableBufferPointer { rgb in
                guard let target = rgb.baseAddress else { return }
                pixels.convert(samples, planeBytes: planeBytes, to: target, count: count)
                sink.add(target, row: y, from: x, count: count)
            }
        }
    }

    private func note(_ damage: TIFFDamage, _ layout: TIFFLayout, _ notes: PageNotes) throws(RenderError) {
        guard let text = damage.text(height: layout.height) else { return }
        guard damage.hasPixels else {
            if let reason = damage.reason, reason.containsText("nsupported") || reason.containsText("not supported") {
                throw RenderError(
                    .unsupported, "This kind of TIFF (\(reason)) is not read: convert it to 8-bit grey or RGB.")
            }
            throw RenderError(
                .damaged,
                "Nothing of the page's image can be decoded (\(damage.reason ?? "no reason given")): the file is cut off or "
                    + "damaged. Copy it again from its source.")
        }
        notes.add(.pictureDamaged, text)
    }

    /// Throws where libtiff has no decoder for the page: such a page is whole.
    private func checkKind() throws(RenderError) {
        var photometric: UInt16 = 0
        // Colour filter array, and linear raw: what a camera's sensor saw.
        let isKnown = quire_tiff_short(handle, UInt32(TIFFTAG_PHOTOMETRIC), &photometric) == 1
        if isKnown, [32803, 34892].contains(photometric) {
            throw RenderError(
                .unsupported,
                "This kind of TIFF (a camera's raw picture, DNG) is not read: convert it to an ordinary TIFF or to "
                    + "JPEG.")
        }
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
    private func readThroughRGBA(
        _ layout: TIFFLayout, into sink: borrowing RowSink, _ limits: RenderLimits, _ notes: PageNotes
    ) throws(RenderError) {
        var message = [CChar](repeating: 0, count: 1024)
        guard TIFFRGBAImageOK(handle, &message) != 0 else {
            throw RenderError(
                .unsupported,
                "This kind of TIFF (\(Self.text(message))) is not read: convert it to 8-bit grey or RGB.")
        }
        source.forget()
        let reader = UnsafeMutablePointer<TIFFRGBAImage>.allocate(capacity: 1)
        reader.initialize(to: TIFFRGBAImage())
        defer { reader.deallocate() }
        guard TIFFRGBAImageBegin(reader, handle, 0, &message) != 0 else { throw damage("cannot be decoded") }
        defer { TIFFRGBAImageEnd(reader) }
        // As stored; the orientation is applied to all kinds alike afterwards.
        reader.pointee.req_orientation = reader.pointee.orientation
        let (count, overflow) = layout.width.multipliedReportingOverflow(by: layout.height)
        guard !overflow, count < limits.memoryBytes / 5,
            let raster = calloc(count, 4)?.assumingMemoryBound(to: UInt32.self)
        else {
            throw RenderError(
                .tooLarge,
                "A TIFF picture of this kind has to be held as a whole, and \(layout.width) x \(layout.height) pixels do not "
                    + "fit into memory: raise \(limits.memorySetting), or convert it to 8-bit grey or RGB.")
        }
        defer { free(raster) }
        // What was not decoded stays zero.
        let isRead = TIFFRGBAImageGet(reader, raster, UInt32(layout.width), UInt32(layout.height)) != 0
        guard isRead || (0..<count).contains(where: { raster[$0] != 0 }) else { throw damage("cannot be decoded") }
        var rgb = [UInt8](repeating: 0, count: layout.width * 3)
        for y in 0..<layout.height {
            for x in 0..<layout.width {
                // 0xAABBGGRR, multiplied by alpha.
                let value = raster[y * layout.width + x]
                let behind = 255 - Int(value >> 24)
                for channel in 0..<3 {
                    rgb[x * 3 + channel] = UInt8(clamping: Int(value >> (8 * UInt32(channel)) & 255) + behind)
                }
            }
            rgb.withUnsafeBufferPointer { rgb in
                if let start = rgb.baseAddress { sink.add(start, row: y) }
            }
        }
        if let problem = source.problem {
            notes.add(
                .pictureDamaged,
                "The page's image is cut off or damaged (\(problem)): parts of it are missing or wrong.")
        }
    }

    private func damage(_ what: String) -> RenderError {
        RenderError(
            .damaged,
            "The page's image \(what) (\(source.problem ?? "no reason given")): the file is cut off or "
                + "damaged. Copy it again from its source.")
    }

    private static func text(_ message: [CChar]) -> String {
        message.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
    }
}
