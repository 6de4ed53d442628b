import Rendering

/// A JPEG image, decoded by libjpeg-turbo as Pillow does: exact integer DCT, smooth upsampling of colour.
///
/// Of a damaged file the rows that can be decoded are shown, the others are white and noted.
final class JPEGDocument: RenderableDocument {
    let pageCount = 1
    private let file: MappedFile

    init(_ input: InputFile, limits: RenderLimits) throws(RenderError) {
        file = try input.mapped()
        // What cannot be drawn at all is said while the document is opened.
        let decoder = try Self.decoder(file.bytes)
        // Before anything is decoded by the numbers of a head that is wrong: of an empty picture a byte holds hundreds of
        // pixels, never thousands.
        guard decoder.width / 4096 * decoder.height <= file.bytes.count else {
            throw RenderError(
                .damaged,
                "The JPEG file states \(decoder.width) x \(decoder.height) pixels and has \(file.bytes.count) bytes: it is "
                    + "cut off or damaged. Copy it again from its source.")
        }
    }

    func render(_ page: Int, limits: RenderLimits, notes: PageNotes) throws(RenderError) -> PixelBuffer {
        // After an error in a picture of several scans nothing can be drawn any more, but its earlier scans are
        // whole: they are read again as a file that ends before the error.
        var bytes = file.bytes
        var earlier: RenderError?
        for _ in 0..<4 {
            let decoder = try Self.decoder(bytes)
            let exif = EXIF(decoder.exifBlock)
            let square = SquarePixels(x: decoder.jfifDPI ?? exif.dpi, y: decoder.jfifDPIDown ?? exif.dpi)
            let factor = RowSink.factor(
                width: decoder.width, height: decoder.height, enlargement: square.enlargement, limits: limits)
            // libjpeg itself reduces by these, without decoding what would not show.
            let scale = [8, 4, 2].first { factor.isMultiple(of: $0) } ?? 1
            let sink = try RowSink(
                width: decoder.width, height: decoder.height, dpi: square.dpi, enlargement: square.enlargement,
                scale: scale, limits: limits)
            let stop = Self.decode(decoder, scale: scale, into: sink)
            if let stop, stop.kind != .damaged { throw stop }
            if let stop, decoder.outputHeight == 0 {
                earlier = earlier ?? stop
                let length = decoder.soundLength(bytes)
                guard length > 0 else { throw earlier ?? stop }
                bytes = UnsafeRawBufferPointer(rebasing: bytes.prefix(length))
                continue
            }
            guard decoder.lost.count < decoder.outputHeight else {
                throw earlier ?? stop
                    ?? RenderError(
                        .damaged,
                        "The JPEG file is cut off or damaged (\(decoder.reason)), and no row of it could be decoded: "
                            + "copy it again from its source.")
            }
            if stop != nil || earlier != nil || decoder.warning != nil || !decoder.lost.isEmpty {
                let text = decoder.damage(scale: scale)
                notes.add(.pictureDamaged, "The JPEG file is damaged: \(text).")
            }
            let image = try square.apply(sink.finish(notes, limits: limits), limits: limits)
            return try image.upright(exif.orientation, limits: limits)
        }
        throw earlier ?? RenderError(.damaged, "The JPEG file is damaged: copy it again from its source.")
    }

    private static func decoder(_ bytes: UnsafeRawBufferPointer) throws(RenderError) -> JPEGDecoder {
        let decoder = try JPEGDecoder(bytes)
        guard [1, 3, 4].contains(decoder.components) else {
            throw RenderError(
                .unsupported,
                "This kind of JPEG (of \(decoder.components) colour channels) is not read: convert it to RGB.")
        }
        return decoder
    }

    /// Fills the page; what could not be decoded stays white.
    private static func decode(_ decoder: JPEGDecoder, scale: Int, into sink: borrowing RowSink) -> RenderError? {
        let asInks = decoder.components == 4
        var rgb = [UInt8](repeating: 255, count: asInks ? decoder.width * 3 : 0)
        let stop = decoder.decode(scale: scale, asInks: asInks) { y, row in
            guard asInks else { return sink.add(row, row: y) }
            let width = decoder.outputWidth
            // Adobe's convention, which every CMYK JPEG follows: 255 means no ink.
            for index in 0..<width * 4 { row[index] = 255 - row[index] }
            rgb.withUnsafeMutableBufferPointer { rgb in
                guard let target = rgb.baseAddress else { return }
                Ink.convert(row, to: target, count: width)
                sink.add(target, row: y)
            }
        }
        for rows in decoder.lost.ranges { sink.whiten(rows) }
        return stop
    }
}
