private import CTIFF
import Rendering

/// How one page of a TIFF file stores its samples.
struct TIFFLayout {
    enum Colour {
        /// Grey, with 0 for white (`isInverted`) or black.
        case grey(isInverted: Bool)
        /// 256 or fewer RGB triples.
        case palette([UInt8])
        case rgb
        case inks
    }

    let width: Int
    let height: Int
    let bitsPerSample: Int
    let samplesPerPixel: Int
    let isPlanar: Bool
    /// 1 to 8.
    let orientation: Int
    let square: SquarePixels
    /// Nil for kinds that are left to libtiff's own conversion.
    let colour: Colour?
    let alpha: Alpha
    let isUncompressed: Bool
    let isFax: Bool
    let isG4: Bool
    /// Whether the first pixel is in the lowest bits of a byte.
    let isBitReversed: Bool
    /// What 16-bit samples go up to, where the file says so.
    let statedRange: SampleRange?
    private let tile: (width: Int, height: Int)?
    private let rowsPerStrip: Int

    /// The sample behind the colours.
    enum Alpha {
        case none
        /// The colours were multiplied by it.
        case associated
        case unassociated
    }

    /// Whether the samples are read as stored, so that pixels are exact.
    var isDirect: Bool { colour != nil }

    /// Planes that are read: the colours' and alpha's.
    var planes: Int { isPlanar ? channels + (alpha == .none ? 0 : 1) : 1 }

    /// Pixels of a tile or of a strip; nil where the tags make no sense.
    func blockSize(isTiled: Bool) -> (width: Int, height: Int)? {
        if isTiled { return tile }
        return rowsPerStrip > 0 ? (width, min(rowsPerStrip, height)) : nil
    }

    /// Channels of colour, without alpha and other extras.
    var channels: Int {
        switch colour {
        case .rgb: 3
        case .inks: 4
        default: 1
        }
    }

    /// Reads the tags of the current directory.
    init(_ handle: OpaquePointer) throws(RenderError) {
        guard let width = Self.long(handle, TIFFTAG_IMAGEWIDTH), let height = Self.long(handle, TIFFTAG_IMAGELENGTH)
        else {
            throw RenderError(.damaged, "The TIFF page does not say its size: the file is damaged. Copy it again.")
        }
        self.width = width
        self.height = height
        func short(_ tag: Int32, _ fallback: Int32) -> Int32 {
            var value: UInt16 = 0
            return quire_tiff_short(handle, UInt32(tag), &value) == 1 ? Int32(value) : fallback
        }
        let bits = Int(short(TIFFTAG_BITSPERSAMPLE, 1))
        let samples = Int(short(TIFFTAG_SAMPLESPERPIXEL, 1))
        bitsPerSample = bits
        samplesPerPixel = samples
        isPlanar = samples > 1 && short(TIFFTAG_PLANARCONFIG, 1) == PLANARCONFIG_SEPARATE
        orientation = Int(short(TIFFTAG_ORIENTATION, 1))
        let unit = short(TIFFTAG_RESOLUTIONUNIT, 2)
        square = SquarePixels(
            x: Self.resolution(handle, TIFFTAG_XRESOLUTION, unit: unit),
            y: Self.resolution(handle, TIFFTAG_YRESOLUTION, unit: unit))
        alpha =
            switch Int32(quire_tiff_first_extra(handle)) {
            case EXTRASAMPLE_ASSOCALPHA where samples > 1: .associated
            case EXTRASAMPLE_UNASSALPHA where samples > 1: .unassociated
            default: .none
            }
        isBitReversed = short(TIFFTAG_FILLORDER, 1) == FILLORDER_LSB2MSB
        rowsPerStrip = Self.long(handle, TIFFTAG_ROWSPERSTRIP) ?? 0
        if let wide = Self.long(handle, TIFFTAG_TILEWIDTH), let tall = Self.long(handle, TIFFTAG_TILELENGTH),
            wide > 0, tall > 0
        {
            tile = (wide, tall)
        } else {
            tile = nil
        }
        let most = Int(short(TIFFTAG_MAXSAMPLEVALUE, 0))
        statedRange =
            bits == 16 && most > 255 && most < 65_535
            ? SampleRange(statedLeast: Int(short(TIFFTAG_MINSAMPLEVALUE, 0)), most: most) : nil

        // Pillow takes a missing tag for white; so do readers of fax.
        let photometric = short(TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISWHITE)
        let compression = short(TIFFTAG_COMPRESSION, COMPRESSION_NONE)
        isUncompressed = compression == COMPRESSION_NONE
        isG4 = compression == COMPRESSION_CCITTFAX4
        isFax = isG4 || [COMPRESSION_CCITTFAX3, COMPRESSION_CCITTRLE, COMPRESSION_CCITTRLEW].contains(compression)
        let isUnsigned = [SAMPLEFORMAT_UINT, SAMPLEFORMAT_VOID].contains(short(TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT))
        let isWhole = bits == 8 || bits == 16
        switch photometric {
        case PHOTOMETRIC_MINISWHITE, PHOTOMETRIC_MINISBLACK:
            let isRead = isUnsigned && (isWhole || (samples == 1 && [1, 2, 4].contains(bits)))
            colour = isRead ? .grey(isInverted: photometric == PHOTOMETRIC_MINISWHITE) : nil
        case PHOTOMETRIC_PALETTE where isUnsigned && samples == 1 && [1, 2, 4, 8].contains(bits):
            colour = Self.palette(handle, entries: 1 << bits).map { .palette($0) }
        case PHOTOMETRIC_RGB where isUnsigned && isWhole && samples >= 3:
            colour = .rgb
        case PHOTOMETRIC_SEPARATED where isUnsigned && isWhole && samples >= 4:
            colour = short(TIFFTAG_INKSET, 1) == INKSET_CMYK ? .inks : nil
        case PHOTOMETRIC_YCBCR where compression == COMPRESSION_JPEG && bits == 8 && samples == 3:
            // libjpeg converts, as it does for Pillow.
            colour = quire_tiff_decode_jpeg_to_rgb(handle) == 1 ? .rgb : nil
        default:
            colour = nil
        }
    }

    /// A number of 32 bits; nil where the tag is missing and has no default.
    static func long(_ handle: OpaquePointer, _ tag: Int32) -> Int? {
        var value: UInt32 = 0
        return quire_tiff_long(handle, UInt32(tag), &value) == 1 ? Int(value) : nil
    }

    /// RGB triples; the file's 16-bit values keep their high byte, as in Pillow.
    private static func palette(_ handle: OpaquePointer, entries: Int) -> [UInt8]? {
        var (red, green, blue):
            (UnsafeMutablePointer<UInt16>?, UnsafeMutablePointer<UInt16>?, UnsafeMutablePointer<UInt16>?)
        guard quire_tiff_palette(handle, &red, &green, &blue) == 1, let red, let green, let blue else { return nil }
        let values = (0..<entries).flatMap { [red[$0], green[$0], blue[$0]] }
        // Some old programs wrote 8-bit values; taken as 16-bit they would all be black.
        let areBytes = values.allSatisfy { $0 < 256 }
        return values.map { UInt8(areBytes ? $0 : $0 >> 8) }
    }

    private static func resolution(_ handle: OpaquePointer, _ tag: Int32, unit: Int32) -> Double? {
        var value: Float = 0
        guard quire_tiff_float(handle, UInt32(tag), &value) == 1 else { return nil }
        switch unit {
        case RESUNIT_INCH: return Resolution.dpi(Double(value), .inch)
        case RESUNIT_CENTIMETER: return Resolution.dpi(Double(value), .centimetre)
        default: return nil
        }
    }
}
