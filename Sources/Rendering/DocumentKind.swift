/// What a file is, by its first bytes; names and endings are never asked.
package enum DocumentKind: Sendable, Equatable {
    /// One of the formats that are read.
    case readable(DocumentFormatName)
    /// A well-known format that is not read; `name` goes into sentences ("a JPEG 2000 image").
    case unsupported(name: String)
    case empty
    case unknown

    /// How many first bytes `sniff` looks at.
    ///
    /// A PDF's header may lie behind something else, and its first objects have to show.
    package static let sniffedBytes = 8192

    /// Decides by the magic numbers in the first `sniffedBytes` bytes of a file (fewer where the file is shorter).
    package static func sniff(_ firstBytes: [UInt8]) -> DocumentKind {
        guard !firstBytes.isEmpty else { return .empty }
        if let format = readableFormat(firstBytes) { return .readable(format) }
        let isText = PDFHeader.isText(firstBytes.prefix(sniffedBytes))
        let signature = signatures.first { firstBytes.matches($0.bytes, at: $0.offset) && !($0.isBinary && isText) }
        // A PDF in an archive is not the archive: there may be others in it.
        if signature?.holdsFiles != true, PDFHeader.follows(in: Array(firstBytes.prefix(sniffedBytes))) {
            return .readable(.pdf)
        }
        return signature.map { .unsupported(name: $0.name) } ?? .unknown
    }

    /// Why the file is not read, in a sentence; nil where it is.
    package var reason: String? {
        switch self {
        case .readable: nil
        case .unsupported(let name):
            "This is \(name), which Quire does not read: convert it to PDF, TIFF, PNG or JPEG."
        case .empty: "The file is empty (0 bytes): copy it again from its source."
        case .unknown: "This is no PDF, TIFF, PNG or JPEG: its first bytes belong to none of them."
        }
    }

    private static func readableFormat(_ bytes: [UInt8]) -> DocumentFormatName? {
        if bytes.matches([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A], at: 0) { return .png }
        if bytes.matches([0xFF, 0xD8, 0xFF], at: 0) { return .jpeg }
        // Classic and BigTIFF, little and big endian.
        let tiff: [[UInt8]] = [[0x49, 0x49, 42, 0], [0x4D, 0x4D, 0, 42], [0x49, 0x49, 43, 0], [0x4D, 0x4D, 0, 43]]
        if tiff.contains(where: { bytes.matches($0, at: 0) }) { return .tiff }
        return PDFHeader.begins(Array(bytes.prefix(sniffedBytes))) ? .pdf : nil
    }

    private struct Signature {
        let name: String
        let bytes: [UInt8]
        let offset: Int
        /// Whether it is made to hold other files, as they are.
        let holdsFiles: Bool
        /// Whether such a file is never text all through, and a text may begin with the same letters.
        let isBinary: Bool

        init(
            _ name: String, _ bytes: [UInt8], at offset: Int = 0, holdsFiles: Bool = false, isBinary: Bool = false
        ) {
            self.name = name
            self.bytes = bytes
            self.offset = offset
            self.holdsFiles = holdsFiles
            self.isBinary = isBinary
        }
    }

    private static let signatures: [Signature] = [
        Signature("a JPEG 2000 image", [0, 0, 0, 12] + Array("jP  ".utf8)),
        Signature("a JPEG 2000 codestream", [0xFF, 0x4F, 0xFF, 0x51]),
        Signature("a JPEG XL image", [0, 0, 0, 12] + Array("JXL ".utf8)),
        Signature("a JPEG XL image", [0xFF, 0x0A]),
        Signature("a WebP image", Array("WEBP".utf8), at: 8, isBinary: true),
        Signature("a HEIF or AVIF image", Array("ftypheic".utf8), at: 4, isBinary: true),
        Signature("a HEIF or AVIF image", Array("ftypmif1".utf8), at: 4, isBinary: true),
        Signature("a HEIF or AVIF image", Array("ftypavif".utf8), at: 4, isBinary: true),
        Signature("a GIF image", Array("GIF8".utf8), isBinary: true),
        Signature("a BMP image", Array("BM".utf8), isBinary: true),
        Signature("a JBIG2 image", [0x97, 0x4A, 0x42, 0x32]),
        Signature("a Photoshop file", Array("8BPS".utf8), isBinary: true),
        Signature("a DjVu document", Array("AT&TFORM".utf8)),
        Signature("a PostScript file", Array("%!PS".utf8)),
        Signature("a ZIP archive or an Office document", [0x50, 0x4B, 3, 4], holdsFiles: true),
        Signature("an older Office document", [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1], holdsFiles: true),
        Signature("an RTF document", Array("{\\rtf".utf8)),
        Signature("a gzip archive", [0x1F, 0x8B], holdsFiles: true),
        Signature("a 7z archive", [0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C], holdsFiles: true),
        Signature("a RAR archive", Array("Rar!".utf8), holdsFiles: true, isBinary: true),
        Signature("a tar archive", Array("ustar".utf8), at: 257, holdsFiles: true, isBinary: true),
        Signature("an archive of ar, such as a Debian package", Array("!<arch>\n".utf8), holdsFiles: true),
        Signature("a cpio archive", Array("07070".utf8), holdsFiles: true, isBinary: true),
        Signature("an XML file", Array("<?xml".utf8)),
        Signature("a web page", Array("<!DOCTYPE html".utf8)),
        Signature("a web page", Array("<html".utf8)),
    ]
}

extension [UInt8] {
    fileprivate func matches(_ magic: [UInt8], at offset: Int) -> Bool {
        count - offset >= magic.count && self[offset..<offset + magic.count].elementsEqual(magic)
    }
}
