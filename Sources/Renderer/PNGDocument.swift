import Rendering

/// A PNG image, decoded by libpng to the bytes that the file holds.
///
/// Transparent parts lie on white (`Ground`); no gamma and no colour management; 16-bit samples keep their high byte
/// unless they fill only a small part of the range (`SampleRange`).
/// Of a damaged file the rows that can be decoded are shown, the others are white and noted.
final class PNGDocument: RenderableDocument {
    let pageCount = 1
    private let mapping: MappedFile
    private var file: UnsafeRawBufferPointer { mapping.bytes }

    init(_ input: InputFile, limits: RenderLimits) throws(RenderError) {
        let mapping = try input.mapped()
        let file = mapping.bytes
        // Signature, IHDR with its check sum: shorter files hold nothing at all.
        guard file.count >= 33, file[12..<16].elementsEqual(Array("IHDR".utf8)) else {
            throw RenderError(
                .damaged, "The PNG file is cut off or damaged in its head: copy it again from its source.")
        }
        self.mapping = mapping
    }

    func render(_ page: Int, limits: RenderLimits, notes: PageNotes) throws(RenderError) -> PixelBuffer {
        let range = try sampleRange(limits)
        return try Ground.page(notes) { (ground, isTransparent) throws(RenderError) in
            try draw(ground, range, &isTransparent, limits, notes)
        }
    }

    private func draw(
        _ ground: Ground, _ range: SampleRange, _ isTransparent: inout Bool, _ limits: RenderLimits, _ notes: PageNotes
    ) throws(RenderError) -> PixelBuffer {
        let decoder = try PNGDecoder(file)
        let (width, channels) = (decoder.width, decoder.channels)
        guard (1...4).contains(channels) else {
            throw RenderError(.unsupported, "This kind of PNG is not read: convert it to 8-bit RGB.")
        }
        let square = SquarePixels(x: decoder.dpi.x, y: decoder.dpi.y)
        let sink = try RowSink(
            width: width, height: decoder.height, dpi: square.dpi, enlargement: square.enlargement, limits: limits)
        let isPlain = channels == 3 && !decoder.isWide
        var row = PNGRow(
            width: isPlain ? 0 : width, channels: channels, ground: limits.dropsAlpha ? nil : ground, range: range)
        try decoder.decode(limits) { y, samples in
            if isPlain {
                sink.add(samples.assumingMemoryBound(to: UInt8.self), row: y)
            } else {
                row.convert(samples, isWide: decoder.isWide) { sink.add($0, row: y) }
            }
            return true
        }
        if row.isTransparent { isTransparent = true }
        guard decoder.lost.count < decoder.height else { throw decoder.failure }
        // What follows the pixels can only add metadata; a file cut off there has lost nothing that is shown.
        if decoder.damage == nil, endsProperly { decoder.finish() }
        if let damage = decoder.damage { notes.add(.pictureDamaged, "The PNG file is damaged: \(damage).") }
        let image = try square.apply(sink.finish(notes, limits: limits), limits: limits)
        return try image.upright(EXIF(decoder.exifBlock).orientation, limits: limits)
    }

    /// By the data, where samples have 16 bits; ordinary pictures show within a few rows that they fill the range.
    private func sampleRange(_ limits: RenderLimits) throws(RenderError) -> SampleRange {
        let decoder = try PNGDecoder(file)
        guard decoder.isWide else { return .full }
        let (width, channels) = (decoder.width, decoder.channels)
        let colours = channels - (channels % 2 == 0 ? 1 : 0)
        var (least, most) = (UInt16.max, UInt16.min)
        try decoder.decode(limits) { _, samples in
            let samples = samples.assumingMemoryBound(to: UInt16.self)
            for x in 0..<width where colours == channels || samples[x * channels + colours] > 0 {
                for at in x * channels..<x * channels + colours {
                    least = min(least, samples[at])
                    most = max(most, samples[at])
                }
            }
            return most < 0x4000 || Int(most) - Int(least) < 0x2000
        }
        return least <= most ? SampleRange(least: Int(least), most: Int(most)) : .full
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
}

/// Makes RGB of rows of any other kind.
private struct PNGRow {
    private let width: Int
    private let channels: Int
    /// Nil where alpha is dropped.
    private let ground: Ground?
    private let range: SampleRange
    private var rgba: [UInt8]
    private var rgb: [UInt8]
    private(set) var isTransparent = false

    init(width: Int, channels: Int, ground: Ground?, range: SampleRange) {
        (self.width, self.channels, self.ground, self.range) = (width, channels, ground, range)
        rgba = [UInt8](repeating: 255, count: width * 4)
        rgb = [UInt8](repeating: 255, count: width * 3)
    }

    mutating func convert(_ samples: UnsafeMutableRawPointer, isWide: Bool, use: (UnsafePointer<UInt8>) -> Void) {
        let hasAlpha = channels % 2 == 0
        let step = channels < 3 ? 0 : 1
        let narrow = samples.assumingMemoryBound(to: UInt8.self)
        let wide = samples.assumingMemoryBound(to: UInt16.self)
        let (width, channels, ground, range) = (width, channels, ground, range)
        var saw = false
        rgba.withUnsafeMutableBufferPointer { rgba in
            rgb.withUnsafeMutableBufferPointer { rgb in
                guard let pixels = rgba.baseAddress, let target = rgb.baseAddress else { return }
                for x in 0..<width {
                    let at = x * channels
                    for colour in 0..<3 {
                        let place = at + colour * step
                        pixels[x * 4 + colour] = isWide ? range.byte(wide[place]) : narrow[place]
                    }
                    guard hasAlpha, ground != nil else { continue }
                    let alpha = at + channels - 1
                    pixels[x * 4 + 3] = isWide ? UInt8(wide[alpha] >> 8) : narrow[alpha]
                }
                saw = (ground ?? .white).cover(pixels, to: target, count: width)
                use(target)
            }
        }
        if saw { isTransparent = true }
    }
}
