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
    /// Bits of the subfile type: a smaller version of another image, or a mask for one.
    private static let notPages: UInt64 = 0b101

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
        var others: [UInt64] = []
        var seen: Set<UInt64> = []
        var offset = first
        while offset != 0 {
            guard pages.count + others.count < Self.most else {
                throw RenderError(.tooLarge, "The TIFF file has more than \(Self.most) pages: split it.")
            }
            guard seen.insert(offset).inserted else { break }
            guard let directory = directory(at: offset) else {
                breaksOff = true
                break
            }
            if directory.subfileType & Self.notPages == 0 { pages.append(offset) } else { others.append(offset) }
            guard let next = directory.next else {
                breaksOff = true
                break
            }
            offset = next
        }
        if pages.isEmpty { pages = others }
    }

    private struct Directory {
        var subfileType: UInt64
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
        var kind: UInt64 = 0
        for entry in 0..<Int(entries) {
            let place = start + countBytes + entry * entryBytes
            guard let tag = number(at: place, bytes: 2) else { return nil }
            // Entries are sorted by tag, and this one is the lowest in use.
            guard tag <= Self.subfileType else { break }
            if tag == Self.subfileType { kind = number(at: place + 4 + wordBytes, bytes: 4) ?? 0 }
        }
        return Directory(
            subfileType: kind, next: number(at: start + countBytes + Int(entries) * entryBytes, bytes: wordBytes))
    }

    private func number(at offset: Int, bytes count: Int) -> UInt64? {
        let bytes = input.bytes(at: offset, count: count)
        guard bytes.count == count else { return nil }
        return (isLittle ? Array(bytes.reversed()) : bytes).reduce(0) { $0 << 8 | UInt64($1) }
    }
}
