private import CTIFF
private import Glibc
import Rendering

/// Reads strips that are too large to be kept whole, row by row.
///
/// libtiff goes through a strip only forwards: each plane has a handle of its own.
struct TIFFLongStrips {
    private let handle: OpaquePointer
    private let source: TIFFSource
    private let layout: TIFFLayout
    private let rowBytes: Int
    /// Rows a strip.
    private let rows: Int
    private let limits: RenderLimits

    init(
        _ handle: OpaquePointer, _ source: TIFFSource, _ layout: TIFFLayout, rowBytes: Int, rows: Int,
        limits: RenderLimits
    ) {
        self.handle = handle
        self.source = source
        self.layout = layout
        self.rowBytes = rowBytes
        self.rows = rows
        self.limits = limits
    }

    func read(_ use: TIFFSamples.Use) throws(RenderError) -> TIFFDamage {
        let planes = try (0..<layout.planes).map { plane throws(RenderError) in try Plane(plane, handle, source) }
        let (bytes, overflow) = rowBytes.multipliedReportingOverflow(by: planes.count)
        guard !overflow, bytes < limits.memoryBytes / 4, let buffer = malloc(bytes) else {
            throw RenderError(
                .tooLarge,
                "The TIFF page's rows of \(layout.width) pixels do not fit into memory: raise \(limits.memorySetting).")
        }
        defer { free(buffer) }
        let samples = buffer.assumingMemoryBound(to: UInt8.self)
        var damage = TIFFDamage()
        for first in stride(from: 0, to: layout.height, by: rows) {
            let end = min(layout.height, first + rows)
            var isG4Wrong = false
            for y in first..<end {
                for plane in planes { plane.source.forget() }
                let isRead = planes.allSatisfy { read(y, of: $0, into: samples + $0.number * rowBytes) }
                let problem = planes.lazy.compactMap(\.source.problem).first
                if damage.reason == nil { damage.reason = problem ?? (isRead ? nil : "the data end too early") }
                let isLost =
                    layout.isFax
                    ? planes.contains { $0.source.endLine != nil || (layout.isG4 && $0.source.badLine != nil) }
                    : problem != nil
                guard isRead, !isLost else {
                    // The next strip stands for itself.
                    damage.lost.add(y..<end)
                    break
                }
                isG4Wrong = isG4Wrong || (layout.isG4 && problem != nil)
                if problem != nil || isG4Wrong { damage.wrong.add(y) }
                damage.hasPixels = true
                use(0, y, layout.width, samples, rowBytes)
            }
        }
        return damage
    }

    private func read(_ y: Int, of plane: Plane, into target: UnsafeMutablePointer<UInt8>) -> Bool {
        let strip = TIFFComputeStrip(plane.handle, UInt32(y), UInt16(plane.number))
        guard layout.isUncompressed || TIFFRaw.isCut(plane.handle, plane.source, strip) else {
            return TIFFReadScanline(plane.handle, target, UInt32(y), UInt16(plane.number)) == 1
        }
        return layout.isUncompressed ? plane.readStored(y % rows, of: strip, rowBytes, layout, target) : false
    }

    /// One plane's own way through the file.
    private final class Plane {
        let number: Int
        let source: TIFFSource
        let handle: OpaquePointer
        private let isOwned: Bool

        /// The first plane takes the handle that there is.
        init(_ number: Int, _ handle: OpaquePointer, _ source: TIFFSource) throws(RenderError) {
            self.number = number
            isOwned = number > 0
            let own = isOwned ? TIFFSource(source.input) : source
            guard let mine = isOwned ? own.open() : handle,
                !isOwned || TIFFSetSubDirectory(mine, TIFFCurrentDirOffset(handle)) != 0
            else { throw RenderError(.damaged, "The TIFF page cannot be read again: copy the file from its source.") }
            self.source = own
            self.handle = mine
        }

        deinit { if isOwned { TIFFClose(handle) } }

        /// Rows without compression come straight from the file, which so need not fit into memory.
        func readStored(
            _ row: Int, of strip: UInt32, _ rowBytes: Int, _ layout: TIFFLayout, _ target: UnsafeMutablePointer<UInt8>
        ) -> Bool {
            let (from, overflow) = row.multipliedReportingOverflow(by: rowBytes)
            guard !overflow, UInt64(from + rowBytes) <= TIFFGetStrileByteCount(handle, strip),
                let start = Int(exactly: TIFFGetStrileOffset(handle, strip)), start > 0,
                !start.addingReportingOverflow(from).overflow,
                source.input.read(into: UnsafeMutableRawBufferPointer(start: target, count: rowBytes), at: start + from)
                    == rowBytes
            else { return false }
            if layout.bitsPerSample == 16, TIFFIsByteSwapped(handle) != 0 {
                target.withMemoryRebound(to: UInt16.self, capacity: rowBytes / 2) {
                    TIFFSwabArrayOfShort($0, tmsize_t(rowBytes / 2))
                }
            }
            if layout.isBitReversed { TIFFReverseBits(target, tmsize_t(rowBytes)) }
            return true
        }
    }
}
