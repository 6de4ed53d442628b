private import CEXIF

/// What an EXIF block says of the image that carries it.
struct EXIF {
    /// 1 to 8; 1 where it is missing or senseless.
    private(set) var orientation = 1
    /// Dots an inch, horizontally.
    private(set) var dpi: Double?

    /// Reads a block that starts with "Exif\0\0"; what cannot be read is as if it were missing.
    init(_ block: [UInt8]) {
        guard let size = UInt32(exactly: block.count), size > 0, let data = exif_data_new() else { return }
        defer { exif_data_unref(data) }
        // Otherwise libexif adds the tags that it misses, a resolution of 72 among them.
        exif_data_unset_option(data, EXIF_DATA_OPTION_FOLLOW_SPECIFICATION)
        block.withUnsafeBufferPointer { exif_data_load_data(data, $0.baseAddress, size) }
        let order = exif_data_get_byte_order(data)
        func entry(_ tag: ExifTag) -> UnsafeMutablePointer<ExifEntry>? {
            guard let content = data.pointee.ifd.0 else { return nil }
            return exif_content_get_entry(content, tag)
        }
        // Of any integer type: phones write LONG where the standard asks for SHORT.
        func integer(_ tag: ExifTag) -> Int? {
            guard let entry = entry(tag), let bytes = entry.pointee.data else { return nil }
            let size = entry.pointee.size
            switch entry.pointee.format {
            case EXIF_FORMAT_BYTE where size >= 1, EXIF_FORMAT_SBYTE where size >= 1: return Int(bytes[0])
            case EXIF_FORMAT_SHORT where size >= 2: return Int(exif_get_short(bytes, order))
            case EXIF_FORMAT_SSHORT where size >= 2: return Int(exif_get_sshort(bytes, order))
            case EXIF_FORMAT_LONG where size >= 4: return Int(exif_get_long(bytes, order))
            case EXIF_FORMAT_SLONG where size >= 4: return Int(exif_get_slong(bytes, order))
            default: return nil
            }
        }
        if let value = integer(EXIF_TAG_ORIENTATION), (1...8).contains(value) { orientation = value }
        guard let entry = entry(EXIF_TAG_X_RESOLUTION), entry.pointee.format == EXIF_FORMAT_RATIONAL,
            entry.pointee.size >= 8
        else { return }
        let ratio = exif_get_rational(entry.pointee.data, order)
        guard ratio.denominator > 0 else { return }
        let perUnit = Double(ratio.numerator) / Double(ratio.denominator)
        dpi = Resolution.dpi(perUnit, integer(EXIF_TAG_RESOLUTION_UNIT) == 3 ? .centimetre : .inch)
    }
}

/// Resolutions as files write them.
enum Resolution {
    enum Unit {
        case inch
        case centimetre
        case metre
    }

    /// Dots an inch; nil where the number cannot be a resolution.
    static func dpi(_ value: Double, _ unit: Unit) -> Double? {
        let dpi =
            switch unit {
            case .inch: value
            case .centimetre: value * 2.54
            case .metre: value * 0.0254
            }
        return dpi > 1 && dpi <= 100_000 ? dpi : nil
    }
}
