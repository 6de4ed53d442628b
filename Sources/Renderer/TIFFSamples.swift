private import CTIFF
private import Glibc
import Rendering

/// Reads a page's strips or tiles and turns its samples into RGB.
struct TIFFSamples {
    private let handle: OpaquePointer
    private let layout: TIFFLayout

    init(_ handle: OpaquePointer, _ layout: TIFFLayout) {
        self.handle = handle
        self.layout = layout
    }

    /// A strip or a tile: where it lies and how its rows are stored.
    private struct Block {
        var x: Int
        var y: Int
        /// Pixels within the image.
        var width: Int
        var height: Int
        /// Bytes from row to row.
        var rowBytes: Int
        /// Bytes from one colour's plane to the next.
        var planeBytes: Int
    }

    /// Fills the image; `damage` makes the error for a block that cannot be decoded.
    func read(into image: borrowing PixelBuffer, damage: () -> RenderError) throws(RenderError) {
        let isTiled = TIFFIsTiled(handle) != 0
        let size = Int(isTiled ? TIFFTileSize(handle) : TIFFStripSize(handle))
        let rowBytes = Int(isTiled ? TIFFTileRowSize(handle) : TIFFScanlineSize(handle))
        guard let (width, height) = blockSize(isTiled: isTiled) else { throw damage() }
        let bitsPerRow = width.multipliedReportingOverflow(
            by: layout.bitsPerSample * (layout.isPlanar ? 1 : layout.samplesPerPixel))
        guard size > 0, !bitsPerRow.overflow, rowBytes >= (bitsPerRow.partialValue + 7) / 8 else { throw damage() }
        // All planes of a block one after the other; an extra one where colours are to be divided by it.
        let planes = layout.isPlanar ? layout.channels + (layout.isPremultiplied ? 1 : 0) : 1
        let (bytes, overflow) = size.multipliedReportingOverflow(by: planes)
        guard !overflow, let buffer = malloc(bytes) else { throw PixelBuffer.outOfMemory(layout.width, layout.height) }
        defer { free(buffer) }
        let samples = buffer.assumingMemoryBound(to: UInt8.self)

        for y in stride(from: 0, to: layout.height, by: height) {
            for x in stride(from: 0, to: layout.width, by: width) {
                let block = Block(
                    x: x, y: y, width: min(width, layout.width - x), height: min(height, layout.height - y),
                    rowBytes: rowBytes, planeBytes: size)
                for plane in 0..<planes {
                    let target = samples + plane * size
                    let got =
                        isTiled
                        ? TIFFReadEncodedTile(
                            handle, TIFFComputeTile(handle, UInt32(x), UInt32(y), 0, UInt16(plane)), target,
                            tmsize_t(size))
                        : TIFFReadEncodedStrip(
                            handle, TIFFComputeStrip(handle, UInt32(y), UInt16(plane)), target, tmsize_t(size))
                    guard got >= block.height * rowBytes else { throw damage() }
                }
                convert(block, samples, into: image)
            }
        }
    }

    /// Pixels along and down a strip or tile.
    private func blockSize(isTiled: Bool) -> (width: Int, height: Int)? {
        guard isTiled else {
            let rows = TIFFLayout.long(handle, TIFFTAG_ROWSPERSTRIP) ?? layout.height
            return rows > 0 ? (layout.width, min(rows, layout.height)) : nil
        }
        guard let width = TIFFLayout.long(handle, TIFFTAG_TILEWIDTH), width > 0,
            let height = TIFFLayout.long(handle, TIFFTAG_TILELENGTH), height > 0
        else { return nil }
        return (width, height)
    }

    private func convert(_ block: Block, _ samples: UnsafePointer<UInt8>, into image: borrowing PixelBuffer) {
        var inks = [UInt8](repeating: 0, count: block.width * 4)
        for row in 0..<block.height {
            let line = samples + row * block.rowBytes
            let target = image.row(block.y + row) + block.x * 3
            switch layout.colour {
            case .grey(let isInverted): grey(line, to: target, count: block.width, flip: isInverted ? 255 : 0)
            case .palette(let colours): palette(line, to: target, count: block.width, colours)
            case .rgb: rgb(line, to: target, block)
            case .inks:
                for pixel in 0..<block.width {
                    for channel in 0..<4 { inks[pixel * 4 + channel] = byte(line, pixel, channel, block) }
                }
                inks.withUnsafeBufferPointer { inks in
                    if let start = inks.baseAddress { Ink.convert(start, to: target, count: block.width) }
                }
            case nil: return
            }
        }
    }

    private func grey(
        _ line: UnsafePointer<UInt8>, to target: UnsafeMutablePointer<UInt8>, count: Int, flip: UInt8
    ) {
        let bits = layout.bitsPerSample
        for pixel in 0..<count {
            let level: UInt8
            if bits >= 8 {
                level = highByte(line, pixel * (layout.isPlanar ? 1 : layout.samplesPerPixel)) ^ flip
            } else {
                level = packed(line, pixel) * (255 / UInt8(1 << bits - 1)) ^ flip
            }
            (target[pixel * 3], target[pixel * 3 + 1], target[pixel * 3 + 2]) = (level, level, level)
        }
    }

    private func palette(
        _ line: UnsafePointer<UInt8>, to target: UnsafeMutablePointer<UInt8>, count: Int, _ colours: [UInt8]
    ) {
        for pixel in 0..<count {
            let entry = Int(layout.bitsPerSample == 8 ? line[pixel] : packed(line, pixel)) * 3
            for channel in 0..<3 { target[pixel * 3 + channel] = colours[entry + channel] }
        }
    }

    private func rgb(_ line: UnsafePointer<UInt8>, to target: UnsafeMutablePointer<UInt8>, _ block: Block) {
        for pixel in 0..<block.width {
            for channel in 0..<3 { target[pixel * 3 + channel] = byte(line, pixel, channel, block) }
            guard layout.isPremultiplied else { continue }
            let alpha = Int(byte(line, pixel, 3, block))
            guard alpha < 255 else { continue }
            for channel in 0..<3 {
                let value = Int(target[pixel * 3 + channel])
                target[pixel * 3 + channel] = alpha == 0 ? 0 : UInt8(clamping: value * 255 / alpha)
            }
        }
    }

    /// One of several channels of a pixel, in 8 bits.
    private func byte(_ line: UnsafePointer<UInt8>, _ pixel: Int, _ channel: Int, _ block: Block) -> UInt8 {
        layout.isPlanar
            ? highByte(line + channel * block.planeBytes, pixel)
            : highByte(line, pixel * layout.samplesPerPixel + channel)
    }

    /// A sample of 8 bits, or the high byte of one of 16 (in the machine's order, as libtiff hands them out).
    private func highByte(_ line: UnsafePointer<UInt8>, _ index: Int) -> UInt8 {
        guard layout.bitsPerSample == 16 else { return line[index] }
        let sample = UnsafeRawPointer(line).loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)
        return UInt8(truncatingIfNeeded: sample >> 8)
    }

    /// A sample of 1, 2 or 4 bits; the first is in the highest bits.
    private func packed(_ line: UnsafePointer<UInt8>, _ index: Int) -> UInt8 {
        let bits = layout.bitsPerSample
        let position = index * bits
        return line[position / 8] >> UInt8(8 - bits - position % 8) & UInt8(1 << bits - 1)
    }
}
