private import CTIFF
private import Glibc
import Rendering

/// Reads a page's strips or tiles one after the other; what cannot be decoded of them is counted.
///
/// A strip that fails is decoded again as far as it goes. Strips too large to be kept whole are read by `TIFFLongStrips`.
struct TIFFSamples {
    private let handle: OpaquePointer
    private let source: TIFFSource
    private let layout: TIFFLayout
    private let limits: RenderLimits

    init(_ handle: OpaquePointer, _ source: TIFFSource, _ layout: TIFFLayout, limits: RenderLimits) {
        self.handle = handle
        self.source = source
        self.layout = layout
        self.limits = limits
    }

    /// A row of a strip or tile: where it lies, its samples, and how far it is from one colour's plane to the next.
    typealias Use = (_ x: Int, _ y: Int, _ count: Int, _ samples: UnsafePointer<UInt8>, _ planeBytes: Int) -> Void

    /// Blocks of more bytes than this are not kept whole if that can be avoided.
    private static let mostBytes = 64 << 20

    func read(_ use: Use) throws(RenderError) -> TIFFDamage {
        let isTiled = TIFFIsTiled(handle) != 0
        let size = Int(isTiled ? TIFFTileSize(handle) : TIFFStripSize(handle))
        let rowBytes = Int(isTiled ? TIFFTileRowSize(handle) : TIFFScanlineSize(handle))
        guard let (width, height) = layout.blockSize(isTiled: isTiled) else { throw unusable }
        let bitsPerRow = width.multipliedReportingOverflow(
            by: layout.bitsPerSample * (layout.isPlanar ? 1 : layout.samplesPerPixel))
        guard size > 0, !bitsPerRow.overflow, rowBytes >= (bitsPerRow.partialValue + 7) / 8 else { throw unusable }
        // All planes of a block one after the other.
        let planes = layout.planes
        let (bytes, overflow) = size.multipliedReportingOverflow(by: planes)
        if !isTiled, overflow || bytes > Self.mostBytes {
            return try TIFFLongStrips(handle, source, layout, rowBytes: rowBytes, rows: height, limits: limits)
                .read(use)
        }
        guard !overflow, bytes < limits.memoryBytes / 2, let buffer = malloc(bytes) else {
            throw RenderError(
                .tooLarge,
                "The TIFF page's tiles of \(width) x \(height) pixels do not fit into memory: raise "
                    + "\(limits.memorySetting), or store the picture in smaller tiles.")
        }
        defer { free(buffer) }
        let samples = buffer.assumingMemoryBound(to: UInt8.self)
        var damage = TIFFDamage()
        for y in stride(from: 0, to: layout.height, by: height) {
            for x in stride(from: 0, to: layout.width, by: width) {
                let block = Block(
                    x: x, y: y, rows: min(height, layout.height - y), rowBytes: rowBytes, size: size, isTiled: isTiled)
                var good = block.rows
                for plane in 0..<planes where good > 0 {
                    good = min(good, try decode(block, plane, into: samples + plane * size, &damage))
                }
                if isTiled {
                    damage.tiles += 1
                    if good < block.rows { damage.lostTiles += 1 }
                } else {
                    damage.lost.add(y + good..<y + block.rows)
                }
                // A tile is whole or missing.
                guard good > 0, !isTiled || good == block.rows else { continue }
                damage.hasPixels = true
                let count = min(width, layout.width - x)
                for row in 0..<good { use(x, y + row, count, samples + row * rowBytes, size) }
            }
        }
        return damage
    }

    private struct Block {
        var x: Int
        var y: Int
        /// Rows within the image.
        var rows: Int
        var rowBytes: Int
        /// Bytes of one plane.
        var size: Int
        var isTiled: Bool
    }

    /// Decodes a strip or tile; returns how many of its rows are right, from the top.
    private func decode(
        _ block: Block, _ plane: Int, into target: UnsafeMutablePointer<UInt8>, _ damage: inout TIFFDamage
    ) throws(RenderError) -> Int {
        source.forget()
        let (x, y, size) = (UInt32(block.x), UInt32(block.y), tmsize_t(block.size))
        let index =
            block.isTiled
            ? TIFFComputeTile(handle, x, y, 0, UInt16(plane)) : TIFFComputeStrip(handle, y, UInt16(plane))
        let got =
            block.isTiled
            ? TIFFReadEncodedTile(handle, index, target, size) : TIFFReadEncodedStrip(handle, index, target, size)
        let isWhole = got >= block.rows * block.rowBytes
        if isWhole, source.problem == nil { return block.rows }
        damage.reason = damage.reason ?? source.problem ?? "the data end too early"
        if isWhole, layout.isFax { return faxRows(block, &damage) }
        return recover(block, index, target, &damage)
    }

    /// Decodes what there is of a strip, as far as it goes.
    private func recover(
        _ block: Block, _ index: UInt32, _ target: UnsafeMutablePointer<UInt8>, _ damage: inout TIFFDamage
    ) -> Int {
        guard let raw = TIFFRaw(handle, source, index) else { return 0 }
        if layout.isFax {
            // Fax decoders do not say how far they came: rows that keep what was there before were not decoded.
            let size = block.rows * block.rowBytes
            guard let first = malloc(size)?.assumingMemoryBound(to: UInt8.self) else { return 0 }
            defer { free(first) }
            memset(first, 0x55, size)
            _ = raw.decode(handle, index, into: first, bytes: size)
            source.forget()
            memset(target, 0xAA, size)
            _ = raw.decode(handle, index, into: target, bytes: size)
            // The bits behind a row's last pixel always keep it.
            let (bytes, whole) = (block.rowBytes, layout.width / 8)
            var decoded = block.rows
            while decoded > 0, memcmp(first + (decoded - 1) * bytes, target + (decoded - 1) * bytes, whole) != 0 {
                decoded -= 1
            }
            // Without a line of its own an error is of the strip as a whole.
            if source.problem != nil, source.wrongLines.isEmpty, source.endLine == nil { return 0 }
            return min(decoded, faxRows(block, &damage))
        }
        func isRight(_ rows: Int) -> Bool {
            source.forget()
            return raw.decode(handle, index, into: target, bytes: rows * block.rowBytes) && source.problem == nil
        }
        // The most rows that come without complaint.
        var (good, bad) = (0, block.rows + 1)
        while bad - good > 1 {
            let middle = (good + bad) / 2
            if isRight(middle) { good = middle } else { bad = middle }
        }
        if good > 0 { _ = isRight(good) }
        return good
    }

    /// Rows of fax data up to their end; those that libtiff complained of are noted.
    ///
    /// Lines of G3 stand for themselves, and libtiff finds the next one. Those of G4 build upon each other: after bad code
    /// words nothing is right any more.
    private func faxRows(_ block: Block, _ damage: inout TIFFDamage) -> Int {
        var good = min(source.endLine ?? block.rows, block.rows)
        if layout.isG4, let bad = source.badLine { good = min(good, bad) }
        for line in source.wrongLines where line < good {
            damage.wrong.add(block.y + line)
        }
        if layout.isG4, let first = source.wrongLines.first, first < good {
            damage.wrong.add(block.y + first..<block.y + good)
        }
        return good
    }

    private var unusable: RenderError {
        RenderError(
            .damaged,
            "The page's image cannot be decoded (\(source.problem ?? "its tags contradict each other")): the file is cut "
                + "off or damaged. Copy it again from its source.")
    }
}
