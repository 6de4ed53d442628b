import Glibc
import SystemPackage

/// Small, whole documents of the four formats that are read, each with another content.
struct SmallFiles {
    let folder: FilePath
    let count: Int

    /// So many files lie in one folder.
    private static let perFolder = 1000

    /// Writes the files; their names say how many pages they have ("000012-3.pdf").
    func write() throws {
        var place = folder
        for number in 0..<count {
            if number % Self.perFolder == 0 {
                try Task.checkCancellation()
                place = folder.appending(Self.digits(number / Self.perFolder, 4))
                guard place.withPlatformString({ mkdir($0, 0o755) }) == 0 else { throw Errno(rawValue: errno) }
            }
            let pages = Self.pages(number)
            let (bytes, ending) =
                switch number % 4 {
                case 0: (Self.pdf(number, pages: pages), "pdf")
                case 1: (Self.tiff(number, pages: pages), "tif")
                case 2: (Self.png(number), "png")
                default: (Self.jpeg(number), "jpg")
                }
            let file = try FileDescriptor.open(
                place.appending("\(Self.digits(number, 6))-\(pages).\(ending)"), .writeOnly,
                options: [.create, .exclusiveCreate], permissions: [.ownerReadWrite, .groupRead, .otherRead])
            _ = try file.closeAfter { try file.writeAll(bytes) }
        }
    }

    /// The pages of all files together.
    var pages: Int { (0..<count).reduce(0) { $0 + Self.pages($1) } }

    /// One to three pages in a PDF, one or two in a TIFF file, one in others.
    private static func pages(_ number: Int) -> Int {
        switch number % 4 {
        case 0: 1 + number / 4 % 3
        case 1: 1 + number / 4 % 2
        default: 1
        }
    }

    private static func digits(_ number: Int, _ width: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, width - text.count)) + text
    }

    // MARK: - Formats

    /// Pages of 200 x 100 points, each with a bar whose place is the file's number.
    private static func pdf(_ number: Int, pages: Int) -> [UInt8] {
        var out = "%PDF-1.4\n"
        var offsets: [Int] = []
        func add(_ object: String) {
            offsets.append(out.utf8.count)
            out += "\(offsets.count) 0 obj\n\(object)\nendobj\n"
        }
        add("<</Type /Catalog /Pages 2 0 R>>")
        let kids = (0..<pages).map { "\(3 + 2 * $0) 0 R" }.joined(separator: " ")
        add("<</Type /Pages /Count \(pages) /Kids [\(kids)]>>")
        for page in 0..<pages {
            let content = "0 g \(number) \(page) 50 20 re f"
            add("<</Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] /Resources <<>> /Contents \(4 + 2 * page) 0 R>>")
            add("<</Length \(content.utf8.count)>>\nstream\n\(content)\nendstream")
        }
        let table = out.utf8.count
        out += "xref\n0 \(offsets.count + 1)\n0000000000 65535 f \n"
        for offset in offsets { out += "\(digits(offset, 10)) 00000 n \n" }
        out += "trailer\n<</Size \(offsets.count + 1) /Root 1 0 R>>\nstartxref\n\(table)\n%%EOF\n"
        return Array(out.utf8)
    }

    /// Pages of 8 x 8 grey pixels, one directory after the other.
    private static func tiff(_ number: Int, pages: Int) -> [UInt8] {
        let tags = 9
        let pixels = 64
        let directory = 2 + tags * 12 + 4
        var bytes: [UInt8] = [0x49, 0x49, 42, 0, 8, 0, 0, 0]
        for page in 0..<pages {
            let start = 8 + page * (directory + pixels)
            bytes += little(tags, 2)
            let entries = [
                (256, 8), (257, 8), (258, 8), (259, 1), (262, 1), (273, start + directory), (277, 1), (278, 8),
                (279, pixels),
            ]
            for (tag, value) in entries { bytes += little(tag, 2) + little(4, 2) + little(1, 4) + little(value, 4) }
            bytes += little(page + 1 < pages ? start + directory + pixels : 0, 4)
            bytes += (0..<pixels).map { UInt8(truncatingIfNeeded: $0 == 0 ? page : number >> (8 * ($0 % 4))) }
        }
        return bytes
    }

    /// 8 x 8 grey pixels, stored without compression.
    private static func png(_ number: Int) -> [UInt8] {
        let row: [UInt8] = [0] + little(number, 4) + little(number, 4)
        let rows = [[UInt8]](repeating: row, count: 8).flatMap { $0 }
        var data: [UInt8] = [0x78, 1, 1]
        data += little(rows.count, 2) + little(~rows.count, 2)
        data += rows
        data += big(adler32(rows), 4)
        var bytes: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
        bytes += chunk("IHDR", big(8, 4) + big(8, 4) + [8, 0, 0, 0, 0])
        bytes += chunk("IDAT", data)
        return bytes + chunk("IEND", [])
    }

    private static func chunk(_ name: String, _ body: [UInt8]) -> [UInt8] {
        let checked = Array(name.utf8) + body
        return big(body.count, 4) + checked + big(crc32(checked), 4)
    }

    /// 8 x 8 grey pixels and the number as a comment; its Huffman tables have one code each.
    private static func jpeg(_ number: Int) -> [UInt8] {
        var bytes: [UInt8] = [0xFF, 0xD8, 0xFF, 0xFE, 0, 10]
        bytes += digits(number, 8).utf8
        bytes += [0xFF, 0xDB, 0, 67, 0]
        bytes += [UInt8](repeating: 1, count: 64)
        bytes += [0xFF, 0xC0, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0]
        for table: UInt8 in [0x00, 0x10] {
            bytes += [0xFF, 0xC4, 0, 20, table, 1]
            bytes += [UInt8](repeating: 0, count: 16)
        }
        return bytes + [0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0, 0x3F, 0xFF, 0xD9]
    }

    private static func little(_ value: Int, _ width: Int) -> [UInt8] {
        (0..<width).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    private static func big(_ value: Int, _ width: Int) -> [UInt8] { little(value, width).reversed() }

    private static func crc32(_ bytes: [UInt8]) -> Int {
        let sum = bytes.reduce(UInt32.max) { sum, byte in
            (0..<8).reduce(sum ^ UInt32(byte)) { sum, _ in sum & 1 == 1 ? sum >> 1 ^ 0xEDB8_8320 : sum >> 1 }
        }
        return Int(~sum)
    }

    private static func adler32(_ bytes: [UInt8]) -> Int {
        let (a, b) = bytes.reduce((1, 0)) { sums, byte in
            let a = (sums.0 + Int(byte)) % 65_521
            return (a, (sums.1 + a) % 65_521)
        }
        return b << 16 | a
    }
}
