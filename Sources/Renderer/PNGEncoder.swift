private import CPNG
private import Glibc
import Rendering

/// `quire-render png`: makes a PNG file of a page image, pixel for pixel.
struct PNGEncoder {
    private let limits: RenderLimits

    init(limits: RenderLimits) { self.limits = limits }

    /// Reads the order and the pixels from the document's descriptor.
    func run(to output: Output) throws(RenderError) {
        let mapping = try InputFile(descriptor: RenderRequest.documentDescriptor).mapped()
        guard let order = CropOrder(mapping.bytes), order.width <= limits.maxPixels / order.height else {
            throw RenderError(.broken, "quire-render was given an image that it does not understand.")
        }
        let reporter = FatalReporter(output: output, introduction: "The page cannot be saved as PNG")
        let file = File()
        try withExtendedLifetime((mapping, reporter, file)) { () throws(RenderError) in
            let pixels = UnsafeRawBufferPointer(rebasing: mapping.bytes[order.byteCount...])
            try encode(pixels, order, reporter, file)
            file.bytes.withUnsafeBytes {
                output.send(FrameHeader(status: .image, number: 0, payloadBytes: $0.count), $0)
            }
        }
    }

    /// What libpng has written.
    private final class File {
        var bytes: [UInt8] = []
    }

    private func encode(
        _ pixels: UnsafeRawBufferPointer, _ order: CropOrder, _ reporter: FatalReporter, _ file: File
    ) throws(RenderError) {
        var png = png_create_write_struct(
            PNG_LIBPNG_VER_STRING, reporter.context,
            { png, message in
                let reporter = FatalReporter.from(png_get_error_ptr(png))
                reporter?.fail(message.map { String(cString: $0) } ?? "unknown error")
                _exit(1)
            }, { _, _ in })
        var info = png.flatMap { png_create_info_struct($0) }
        defer { png_destroy_write_struct(&png, &info) }
        guard let png, let info else {
            throw RenderError(.tooLarge, "libpng found no memory: raise \(limits.memorySetting).")
        }
        png_set_write_fn(
            png, Unmanaged.passUnretained(file).toOpaque(),
            { png, data, count in
                guard let io = png_get_io_ptr(png), let data else { return }
                let file = Unmanaged<File>.fromOpaque(io).takeUnretainedValue()
                file.bytes += UnsafeRawBufferPointer(start: data, count: count)
            }, { _ in })
        png_set_user_limits(png, 0x7FFF_FFFF, 0x7FFF_FFFF)
        png_set_IHDR(
            png, info, png_uint_32(order.width), png_uint_32(order.height), 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
            PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT)
        // Scans of 64 megapixels are to be had in seconds.
        png_set_compression_level(png, 3)
        png_write_info(png, info)
        for y in 0..<order.height {
            let start = pixels.baseAddress.map { $0 + y * order.width * 3 }
            png_write_row(png, start?.assumingMemoryBound(to: UInt8.self))
        }
        png_write_end(png, info)
    }
}
