import Rendering

/// The offsets of a TIFF file's pages, read without libtiff: bounded, without loops, and honest where the list
/// breaks off.
struct TIFFDirectories {
    /// Where each page's directory lies, in order; thumbnails and masks are left out where there is anything else.
    private(set) var pages: [UInt64] = []
    /// Whether the list ends in a place where no directory can be: pages behind it are lost.
    private(set) var breaksOff = false

    /// More directories than this are taken for damage.
    private static let most = 65_535
    private static let subfileType: UInt64 = 254
    private static let oldSubfileType: UInt64 = 255
    private static let width: UInt64 = 256
    private static let height: UInt64 = 257
    private static let subdirectories: UInt64 = 330
    /// Of one page.
    private static let mostSubdirectories = 64

    private let input: InputFile
    private let isLittle: Bool
    private let isBig: Bool

    init(_ input: InputFile) throws(RenderError) {
        self.input = input
        let head = input.bytes(at: 0, count: 16)
        guard head.count >= 8 else {
            throw RenderError(.damaged, "The TIFF file is cut off in its head: copy it again from its source.")
        }
        isLittle = head[0] == 0x49
        isBig = head[isLittle ? 2 : 3] == 43
        guard let first = isBig ? number(at: 8, bytes: 8) : number(at: 4, bytes: 4) else {
            throw RenderError(.damaged, "The TIFF file is cut off in its head: copy it again from its source.")
        }
        var found: [(offset: UInt64, directory: Directory)] = []
        var seen: Set<UInt64> = []
        var offset = first
        while offset != 0 {
            guard found.count < Self.most else {
                throw RenderError(.tooLarge, "The TIFF file has more than \(Self.most) pages: split it.")
            }
            guard seen.insert(offset).inserted else { break }
            guard let directory = directory(at: offset) else {
                breaksOff = true
                break
            }
            found.append((offset, directory))
            guard let next = directory.next else {
                breaksOff = true
                break
            }
            offset = next
        }
        pages = found.indices.filter { Self.isPage($0, of: found.map(\.directory)) }.map { found[$0].offset }
        if pages.isEmpty { pages = found.map(\.offset) }
        // Raw files of cameras begin with a preview; the picture lies in a directory below it.
        for (place, offset) in pages.enumerated() {
            guard let directory = found.first(where: { $0.offset == offset })?.directory, directory.isReduced
            else { continue }
            let below = directory.below.compactMap { offset in self.directory(at: offset).map { (offset, $0) } }
            let full = below.filter { !$0.1.isReduced && !$0.1.isMask && $0.1.width > directory.width }
            if let picture = full.max(by: { $0.1.width < $1.1.width }) { pages[place] = picture.0 }
        }
    }

    /// Masks are no pages, and versions of a picture beside it that are clearly smaller; but many scanners flag all
    /// pages after the first as reduced, at full size.
    private static func isPage(_ index: Int, of directories: [Directory]) -> Bool {
        let directory = directories[index]
        guard !directory.isMask else { return false }
        guard directory.isReduced else { return true }
        return ![index - 1, index + 1].contains { neighbour in
            directories.indices.contains(neighbour) && !directories[neighbour].isMask
                && directory.width * 5 < directories[neighbour].width * 3
                && directory.height * 5 < directories[neighbour].height * 3
        }
    }

    private struct Directory {
        var isReduced = false
        var isMask = false
        /// Pixels; 0 where the directory does not say.
        var width: UInt64 = 0
        var height: UInt64 = 0
        /// Offsets of directories that belong to this one.
        var below: [UInt64] = []
        /// 0 after the last one; nil where the file ends before it says.
        var next: UInt64?
    }

    /// Nil where the file ends before the directory does.
    private func directory(at offset: UInt64) -> Directory? {
        guard let start = Int(exactly: offset), start < input.size else { return nil }
        let (countBytes, entryBytes, wordBytes) = isBig ? (8, 20, 8) : (2, 12, 4)
        guard let entries = number(at: start, bytes: countBytes), entries > 0,
            entries <= UInt64((input.size - start) / entryBytes)
        else { return nil }
        var directory = Directory()
        for entry in 0..<Int(entries) {
            let place = start + countBytes + entry * entryBytes
            guard let tag = number(at: place, bytes: 2) else { return nil }
            // Entries are sorted by tag.
            guard tag <= Self.subdirectories else { break }
            let value = integer(at: place, wordBytes) ?? 0
            switch tag {
            case Self.subfileType:
                directory.isReduced = value & 1 != 0
                directory.isMask = value & 4 != 0
            // 1: full, 2: reduced, 3: a page of several.
            case Self.oldSubfileType: directory.isReduced = directory.isReduced || value == 2
            // Below 2^32, so that comparisons do not overflow.
            case Self.width: directory.width = min(value, 0xFFFF_FFFF)
            case Self.height: directory.height = min(value, 0xFFFF_FFFF)
            case Self.subdirectories: directory.below = offsets(at: place, wordBytes)
            default: break
            }
        }
        directory.next = number(at: start + countBytes + Int(entries) * entryBytes, bytes: wordBytes)
        return directory
    }

    /// The values of an entry of offsets (LONG, IFD, LONG8 or IFD8).
    private func offsets(at entry: Int, _ wordBytes: Int) -> [UInt64] {
        let size = [16, 18].contains(number(at: entry + 2, bytes: 2)) ? 8 : 4
        guard let stated = number(at: entry + 4, bytes: wordBytes) else { return [] }
        let count = Int(min(stated, UInt64(Self.mostSubdirectories)))
        var start = entry + 4 + wordBytes
        if count * size > wordBytes {
            guard let place = number(at: start, bytes: wordBytes), let offset = Int(exactly: place) else { return [] }
            start = offset
        }
        guard start >= 0, start < input.size else { return [] }
        return (0..<count).compactMap { number(at: start + $0 * size, bytes: size) }
    }

    /// The value of an entry that is a BYTE, SHORT, LONG or LONG8.
    private func integer(at entry: Int, _ wordBytes: Int) -> UInt64? {
        switch number(at: entry + 2, bytes: 2) {
        case 1: number(at: entry + 4 + wordBytes, bytes: 1)
        case 3: number(at: entry + 4 + wordBytes, bytes: 2)
        case 16: number(at: entry + 4 + wordBytes, bytes: 8)
        default: number(at: entry + 4 + wordBytes, bytes: 4)
        }
    }

    private func number(at offset: Int, bytes count: Int) -> UInt64? {
        let bytes = input.bytes(at: offset, count: count)
        guard bytes.count == count else { return nil }
        return (isLittle ? Array(bytes.reversed()) : bytes).reduce(0) { $0 << 8 | UInt64($1) }
    }
}
