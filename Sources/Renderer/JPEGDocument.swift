private import CJPEG
private import Glibc
import Rendering

/// A JPEG image, decoded by libjpeg-turbo as Pillow does: exact integer DCT, smooth upsampling of colour.
final class JPEGDocument: RenderableDocument {
    let pageCount = 1
    private let decoder: JPEGDecoder

    init(_ input: InputFile, limits: RenderLimits, output: Output) throws(RenderError) {
        let reporter = FatalReporter(output: output, introduction: "The JPEG file is cut off or damaged")
        decoder = JPEGDecoder(file: try input.mapped(), reporter: reporter)
    }

    func render(_ page: Int, limits: RenderLimits, notes: PageNotes) throws(RenderError) -> PixelBuffer {
        let image = try decoder.decode(page, limits: limits)
        return try image.upright(decoder.exif.orientation, limits: limits)
    }
}

/// Owns libjpeg's decompressor; errors in the file end the process through the reporter.
private final class JPEGDecoder {
    private let state = UnsafeMutablePointer<jpeg_decompress_struct>.allocate(capacity: 1)
    private let errors = UnsafeMutablePointer<jpeg_error_mgr>.allocate(capacity: 1)
    private let context: JPEGContext
    private let mapping: MappedFile
    let exif: EXIF

    /// Reads everything before the pixels.
    init(file mapping: MappedFile, reporter: FatalReporter) {
        self.mapping = mapping
        let file = mapping.bytes
        context = JPEGContext(reporter: reporter)
        state.initialize(to: jpeg_decompress_struct())
        errors.initialize(to: jpeg_error_mgr())
        state.pointee.err = jpeg_std_error(errors)
        errors.pointee.error_exit = { state in
            JPEGContext.from(state)?.fail(state)
            _exit(1)
        }
        errors.pointee.emit_message = { state, level in
            if level < 0 { JPEGContext.from(state)?.warn(state) }
        }
        errors.pointee.output_message = { _ in }
        state.pointee.client_data = Unmanaged.passUnretained(context).toOpaque()
        jpeg_CreateDecompress(state, JPEG_LIB_VERSION, MemoryLayout<jpeg_decompress_struct>.size)
        jpeg_mem_src(state, file.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt(file.count))
        jpeg_save_markers(state, JPEG_APP0 + 1, 0xFFFF)
        jpeg_read_header(state, 1)
        exif = EXIF(Self.exifBlock(state))
    }

    deinit {
        jpeg_destroy_decompress(state)
        state.deallocate()
        errors.deallocate()
    }

    func decode(_ page: Int, limits: RenderLimits) throws(RenderError) -> PixelBuffer {
        context.reporter.number = page
        let (width, height) = (Int(state.pointee.image_width), Int(state.pointee.image_height))
        let image = try PixelBuffer(width: width, height: height, dpi: dpi, limits: limits)
        let inksPerPixel: Int? =
            switch state.pointee.num_components {
            case 1, 3: nil
            case 4: 4
            default:
                throw RenderError(
                    .damaged,
                    "The JPEG file has \(state.pointee.num_components) colour channels, which has no meaning "
                        + "for a picture: save it anew as RGB.")
            }
        state.pointee.out_color_space = inksPerPixel == nil ? JCS_RGB : JCS_CMYK
        jpeg_start_decompress(state)
        var inks = [UInt8](repeating: 0, count: width * (inksPerPixel ?? 0))
        for y in 0..<height {
            if inksPerPixel == nil {
                var row: JSAMPROW? = image.row(y)
                jpeg_read_scanlines(state, &row, 1)
            } else {
                inks.withUnsafeMutableBufferPointer { inks in
                    var row: JSAMPROW? = inks.baseAddress
                    jpeg_read_scanlines(state, &row, 1)
                    // Adobe's convention, which every CMYK JPEG follows: 255 means no ink.
                    for index in inks.indices { inks[index] = 255 - inks[index] }
                    if let start = inks.baseAddress { Ink.convert(start, to: image.row(y), count: width) }
                }
            }
        }
        let scansMayBeMissing = jpeg_has_multiple_scans(state) != 0
        jpeg_finish_decompress(state)
        if let loss = context.loss(scansMayBeMissing: scansMayBeMissing) {
            throw RenderError(.damaged, "The JPEG file is cut off or damaged (\(loss)): copy it again from its source.")
        }
        return image
    }

    private var dpi: Double? {
        let (unit, density) = (state.pointee.density_unit, Double(state.pointee.X_density))
        guard state.pointee.saw_JFIF_marker != 0, unit == 1 || unit == 2 else { return exif.dpi }
        return Resolution.dpi(density, unit == 1 ? .inch : .centimetre) ?? exif.dpi
    }

    private static func exifBlock(_ state: UnsafeMutablePointer<jpeg_decompress_struct>) -> [UInt8] {
        var marker = state.pointee.marker_list
        while let current = marker {
            let bytes = UnsafeBufferPointer(start: current.pointee.data, count: Int(current.pointee.data_length))
            if bytes.starts(with: Array("Exif\0\0".utf8)) { return Array(bytes) }
            marker = current.pointee.next
        }
        return []
    }
}

/// What libjpeg's callbacks find again through its context pointer.
private final class JPEGContext {
    let reporter: FatalReporter
    private var endedEarly = false
    private var corruption: String?

    init(reporter: FatalReporter) { self.reporter = reporter }

    static func from(_ state: j_common_ptr?) -> JPEGContext? {
        guard let data = state?.pointee.client_data else { return nil }
        return Unmanaged<JPEGContext>.fromOpaque(data).takeUnretainedValue()
    }

    func fail(_ state: j_common_ptr?) -> Never { reporter.fail(Self.message(state)) }

    /// Sorts warnings: some are harmless, others mean that pixels were made up.
    func warn(_ state: j_common_ptr?) {
        guard let code = state?.pointee.err?.pointee.msg_code else { return }
        switch J_MESSAGE_CODE(UInt32(clamping: code)) {
        case JWRN_JPEG_EOF: endedEarly = true
        case JWRN_HIT_MARKER, JWRN_HUFF_BAD_CODE, JWRN_ARITH_BAD_CODE, JWRN_MUST_RESYNC:
            if corruption == nil { corruption = Self.message(state) }
        default: break
        }
    }

    /// What is missing of the pixels; nil where at most the end marker is.
    func loss(scansMayBeMissing: Bool) -> String? {
        corruption ?? (endedEarly && scansMayBeMissing ? "the file ends too early" : nil)
    }

    private static func message(_ state: j_common_ptr?) -> String {
        var text = [CChar](repeating: 0, count: Int(JMSG_LENGTH_MAX) + 1)
        state?.pointee.err?.pointee.format_message?(state, &text)
        return text.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { String(cString: $0) } ?? ""
        }
    }
}
