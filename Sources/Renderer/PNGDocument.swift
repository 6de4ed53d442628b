private import CPNG
private import Glibc
import Rendering

/// A PNG image, decoded by libpng to the bytes that the file holds.
///
/// Alpha and palette transparency are dropped, so that hidden colours show; no gamma and no colour management;
/// 16-bit samples keep their high byte (MODEL.md section 3).
final class PNGDocument: RenderableDocument {
    let pageCount = 1
    private let mapping: MappedFile
    private let reporter: FatalReporter
    private var file: UnsafeRawBufferPointer { mapping.bytes }

    init(_ input: InputFile, limits: RenderLimits, output: Output) throws(RenderError) {
        let mapping = try input.mapped()
        let file = mapping.bytes
        // Signature, IHDR with its check sum: shorter files hold nothing at all.
        guard file.count >= 33, file[12..<16].elementsEqual(Array("IHDR".utf8)) else {
            throw RenderError(
                .damaged, "The PNG file is cut off or damaged in its head: copy it again from its source.")
        }
        self.mapping = mapping
        reporter = FatalReporter(output: output, introduction: "The PNG file is cut off or damaged")
    }

    func render(_ page: Int, limits: RenderLimits, notes: PageNotes) throws(RenderError) -> PixelBuffer {
        reporter.number = page
        guard
            let png = png_create_read_struct(
                PNG_LIBPNG_VER_STRING, reporter.context,
                { png, message in
                    let reporter = FatalReporter.from(png_get_error_ptr(png))
                    reporter?.fail(message.map { String(cString: $0) } ?? "unknown error")
                    _exit(1)
                }, { _, _ in }),
            let info = png_create_info_struct(png)
        else { throw RenderError(.tooLarge, "libpng found no memory: raise the memory limit.") }

        let reading = Reading(file)
        return try withExtendedLifetime(reading) { () throws(RenderError) in
            png_set_read_fn(png, Unmanaged.passUnretained(reading).toOpaque()) { png, target, count in
                let reading = Unmanaged<Reading>.fromOpaque(png_get_io_ptr(png)).takeUnretainedValue()
                guard let target, reading.copy(to: target, count: count) else {
                    png_error(png, "the file ends too early")
                }
            }
            png_set_user_limits(png, 0x7FFF_FFFF, 0x7FFF_FFFF)
            png_read_info(png, info)
            let image = try readPixels(png, info, reading, limits)
            return try image.upright(EXIF(exifBlock(png, info)).orientation, limits: limits)
        }
    }

    private func readPixels(
        _ png: OpaquePointer, _ info: OpaquePointer, _ reading: Reading, _ limits: RenderLimits
    ) throws(RenderError) -> PixelBuffer {
        let (width, height) = (Int(png_get_image_width(png, info)), Int(png_get_image_height(png, info)))
        var image = try PixelBuffer(width: width, height: height, dpi: nil, limits: limits)
        png_set_strip_16(png)
        png_set_expand(png)
        png_set_gray_to_rgb(png)
        png_set_strip_alpha(png)
        let passes = png_set_interlace_handling(png)
        png_read_update_info(png, info)
        guard png_get_rowbytes(png, info) == width * 3 else {
            throw RenderError(.damaged, "The PNG file has an unknown arrangement of colours: save it anew.")
        }
        for _ in 0..<passes {
            for y in 0..<height { png_read_row(png, image.row(y), nil) }
        }
        // What follows the pixels can only add metadata; a file cut off there has lost nothing that is shown.
        if endsProperly { png_read_end(png, info) }
        var (x, y, unit): (UInt32, UInt32, Int32) = (0, 0, 0)
        if png_get_pHYs(png, info, &x, &y, &unit) != 0, unit == PNG_RESOLUTION_METER {
            image.dpi = Resolution.dpi(Double(x), .metre)
        }
        return image
    }

    /// Whether the chain of chunks is whole up to its end chunk.
    private var endsProperly: Bool {
        var offset = 8
        while file.count - offset >= 12 {
            let length = Int(UInt32(bigEndian: file.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
            if file[offset + 4..<offset + 8].elementsEqual(Array("IEND".utf8)) { return true }
            guard length <= file.count - offset - 12 else { return false }
            offset += length + 12
        }
        return false
    }

    private func exifBlock(_ png: OpaquePointer, _ info: OpaquePointer) -> [UInt8] {
        var count: UInt32 = 0
        var start: UnsafeMutablePointer<UInt8>?
        guard png_get_eXIf_1(png, info, &count, &start) != 0, let start else { return [] }
        return Array("Exif\0\0".utf8) + UnsafeBufferPointer(start: start, count: Int(count))
    }
}

/// The file as libpng reads it, from front to back.
private final class Reading {
    private let file: UnsafeRawBufferPointer
    private var offset = 0

    init(_ file: UnsafeRawBufferPointer) { self.file = file }

    func copy(to target: UnsafeMutablePointer<UInt8>, count: Int) -> Bool {
        guard count <= file.count - offset else { return false }
        UnsafeMutableRawBufferPointer(start: target, count: count)
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: file[offset..<offset + count]))
        offset += count
        return true
    }
}
