private import Glibc
import Rendering

/// Turns a TIFF page's samples into RGB.
struct TIFFPixels {
    private let layout: TIFFLayout
    private let ground: UInt8
    private let range: SampleRange?
    /// For each byte of 1, 2 or 4-bit grey, the pixels in it as RGB.
    private let expanded: [UInt8]
    /// The highest byte of grey that was seen in a picture of 16 bits, and whether all so far is of one look.
    private(set) var highest: UInt16 = 0
    private(set) var lowest: UInt16 = .max
    private(set) var sawTransparency = false
    private(set) var sawInk = false

    /// `ground` is the grey that shows where the picture is transparent.
    init(_ layout: TIFFLayout, ground: UInt8, range: SampleRange?) {
        self.layout = layout
        self.ground = ground
        self.range = range
        guard case .grey(let isInverted) = layout.colour, layout.bitsPerSample < 8 else {
            expanded = []
            return
        }
        let bits = layout.bitsPerSample
        let most = (1 << bits) - 1
        expanded = (0..<256).flatMap { byte in
            (0..<8 / bits).flatMap { pixel in
                let level = UInt8((byte >> (8 - bits - pixel * bits) & most) * (255 / most)) ^ (isInverted ? 255 : 0)
                return [level, level, level]
            }
        }
    }

    /// Converts one row; `line` is that of the first plane.
    mutating func convert(
        _ line: UnsafePointer<UInt8>, planeBytes: Int, to target: UnsafeMutablePointer<UInt8>, count: Int
    ) {
        let row = Row(line: line, planeBytes: planeBytes, count: count)
        switch layout.colour {
        case .grey(let isInverted): grey(row, to: target, flip: isInverted ? 255 : 0)
        case .palette(let colours):
            for pixel in 0..<count {
                let entry = Int(layout.bitsPerSample == 8 ? line[pixel] : packed(line, pixel)) * 3
                for channel in 0..<3 { target[pixel * 3 + channel] = colours[entry + channel] }
            }
        case .rgb:
            for pixel in 0..<count {
                for channel in 0..<3 { target[pixel * 3 + channel] = byte(row, pixel, channel) }
            }
        case .inks:
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: count * 4) { inks in
                guard let start = inks.baseAddress else { return }
                for pixel in 0..<count {
                    for channel in 0..<4 { start[pixel * 4 + channel] = byte(row, pixel, channel) }
                }
                Ink.convert(start, to: target, count: count)
            }
        case nil: return
        }
        if layout.bitsPerSample == 16 { note(row) }
        if layout.alpha != .none { layOnGround(row, target) }
    }

    private struct Row {
        var line: UnsafePointer<UInt8>
        /// Bytes from one colour's plane to the next.
        var planeBytes: Int
        var count: Int
    }

    private func grey(_ row: Row, to target: UnsafeMutablePointer<UInt8>, flip: UInt8) {
        guard layout.bitsPerSample < 8 else {
            for pixel in 0..<row.count {
                let level = byte(row, pixel, 0) ^ flip
                (target[pixel * 3], target[pixel * 3 + 1], target[pixel * 3 + 2]) = (level, level, level)
            }
            return
        }
        let size = 8 / layout.bitsPerSample * 3
        expanded.withUnsafeBufferPointer { expanded in
            guard let start = expanded.baseAddress else { return }
            let (whole, rest) = (row.count * 3 / size, row.count * 3 % size)
            if size == 24 {
                for at in 0..<whole { memcpy(target + at * 24, start + Int(row.line[at]) * 24, 24) }
            } else {
                for at in 0..<whole { memcpy(target + at * size, start + Int(row.line[at]) * size, size) }
            }
            if rest > 0 { memcpy(target + whole * size, start + Int(row.line[whole]) * size, rest) }
        }
    }

    /// Keeps the range of 16-bit samples.
    private mutating func note(_ row: Row) {
        for channel in 0..<layout.channels {
            for pixel in 0..<row.count {
                let sample = wide(row, pixel, channel)
                highest = max(highest, sample)
                lowest = min(lowest, sample)
            }
        }
    }

    /// Blends with the ground where the picture is transparent.
    private mutating func layOnGround(_ row: Row, _ target: UnsafeMutablePointer<UInt8>) {
        for pixel in 0..<row.count {
            let alpha = Int(plain(row, pixel, layout.channels))
            if alpha < 255 {
                sawTransparency = true
                for place in pixel * 3..<pixel * 3 + 3 {
                    let value = Int(target[place])
                    let behind = Int(ground) * (255 - alpha)
                    target[place] =
                        layout.alpha == .associated
                        ? UInt8(clamping: value + (behind + 127) / 255)
                        : UInt8(clamping: (value * alpha + behind + 127) / 255)
                }
            }
            if min(target[pixel * 3], target[pixel * 3 + 1], target[pixel * 3 + 2]) < 230 { sawInk = true }
        }
    }

    /// One of the colours of a pixel, in 8 bits.
    private func byte(_ row: Row, _ pixel: Int, _ channel: Int) -> UInt8 {
        guard let range, layout.bitsPerSample == 16 else { return plain(row, pixel, channel) }
        return range.byte(wide(row, pixel, channel))
    }

    /// A sample of 8 bits, or the high byte of one of 16 (in the machine's order, as libtiff hands them out).
    private func plain(_ row: Row, _ pixel: Int, _ channel: Int) -> UInt8 {
        guard layout.bitsPerSample == 16 else {
            return layout.isPlanar
                ? row.line[channel * row.planeBytes + pixel] : row.line[pixel * layout.samplesPerPixel + channel]
        }
        return UInt8(truncatingIfNeeded: wide(row, pixel, channel) >> 8)
    }

    private func wide(_ row: Row, _ pixel: Int, _ channel: Int) -> UInt16 {
        let place =
            layout.isPlanar ? channel * row.planeBytes + pixel * 2 : (pixel * layout.samplesPerPixel + channel) * 2
        return UnsafeRawPointer(row.line).loadUnaligned(fromByteOffset: place, as: UInt16.self)
    }

    /// A sample of 1, 2 or 4 bits; the first is in the highest bits.
    private func packed(_ line: UnsafePointer<UInt8>, _ index: Int) -> UInt8 {
        let bits = layout.bitsPerSample
        let position = index * bits
        return line[position / 8] >> UInt8(8 - bits - position % 8) & UInt8(1 << bits - 1)
    }
}
