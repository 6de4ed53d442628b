import Digest
import Glibc
import Shared
import SystemPackage
import TestSupport

/// A folder of small multi-page TIFF files, to which happens what happens to files in a week: they are renamed, copied,
/// rewritten in place, removed, and their share is not mounted.
final class SoakArchive {
    /// What happens to one file.
    enum Change: String, CaseIterable {
        case rename
        case copy
        case rewrite
        case remove
    }

    private let directory: TemporaryDirectory
    private var generator: SeededGenerator
    private var names: [String] = []
    private var made = 0

    /// The mount point.
    var root: FilePath { directory.path.appending("mount") }
    /// The batch's folder, below the mount point.
    var folder: FilePath { root.appending("archive") }
    private var away: FilePath { directory.path.appending("away") }

    /// Makes a file for each number of pages.
    init(pages: [Int], seed: UInt64) throws {
        directory = try TemporaryDirectory(prefix: "quire-archive")
        generator = SeededGenerator(seed: seed)
        try directory.makeFolder("mount/archive")
        for count in pages { try add(pages: count) }
    }

    /// Whether the share is not there: an empty folder stands in its place.
    var isUnmounted: Bool { away.withPlatformString { access($0, F_OK) == 0 } }

    func unmount() throws {
        try Self.rename(root, to: away)
        try directory.makeFolder("mount")
    }

    func mount() throws {
        guard root.withPlatformString({ rmdir($0) }) == 0 else { throw Errno(rawValue: errno) }
        try Self.rename(away, to: root)
    }

    /// Does something to a file that is drawn; returns false, and does nothing, while the share is not mounted.
    func change(_ change: Change) throws -> Bool {
        guard !isUnmounted, names.count > 1 else { return false }
        let index = Int.random(in: names.indices, using: &generator)
        let file = folder.appending(names[index])
        switch change {
        case .rename:
            made += 1
            let name = "renamed-\(made).tif"
            try Self.rename(file, to: folder.appending(name))
            names[index] = name
        case .copy:
            made += 1
            let name = "copy-\(made).tif"
            try directory.makeFile("mount/archive/\(name)", Self.bytes(of: file))
            names.append(name)
        case .rewrite:
            // Of the same size and with as many pages, in the file that is there.
            var bytes = try Self.bytes(of: file)
            Self.fill(&bytes, using: &generator)
            let descriptor = try FileDescriptor.open(file, .writeOnly)
            try descriptor.closeAfter { _ = try descriptor.writeAll(bytes) }
        case .remove:
            guard file.withPlatformString({ unlink($0) }) == 0 else { throw Errno(rawValue: errno) }
            names.remove(at: index)
        }
        return true
    }

    /// The digests of all that lies in the folder now.
    func digests() throws -> Set<String> {
        Set(try names.map { "\(SHA256.hash(try Self.bytes(of: folder.appending($0))))" })
    }

    private func add(pages: Int) throws {
        made += 1
        let name = "scan-\(made).tif"
        var bytes = Self.tiff(pages: pages)
        Self.fill(&bytes, using: &generator)
        try directory.makeFile("mount/archive/\(name)", bytes)
        names.append(name)
    }

    // MARK: Files

    /// Pixels of all pages, 8 x 8 of a byte, follow the header.
    private static let pixelStart = 8
    private static let pixelBytes = 64

    /// A little-endian TIFF file of so many pages of 8 x 8 grey pixels (TIFF 6.0, sections 2 and 4).
    private static func tiff(pages: Int) -> [UInt8] {
        // Tag, type (3: short, 4: long), value.
        func entries(_ page: Int) -> [(UInt16, UInt16, UInt32)] {
            [
                (256, 3, 8), (257, 3, 8), (258, 3, 8), (259, 3, 1), (262, 3, 1),
                (273, 4, UInt32(pixelStart + page * pixelBytes)), (277, 3, 1), (278, 3, 8),
                (279, 4, UInt32(pixelBytes)),
            ]
        }
        let directoryBytes = 2 + 9 * 12 + 4
        let first = pixelStart + pages * pixelBytes
        var bytes: [UInt8] = [0x49, 0x49, 42, 0] + little(UInt32(first))
        bytes += [UInt8](repeating: 0, count: pages * pixelBytes)
        for page in 0..<pages {
            bytes += little(UInt16(9))
            for (tag, type, value) in entries(page) {
                bytes += little(tag) + little(type) + little(UInt32(1)) + little(value)
            }
            bytes += little(page + 1 < pages ? UInt32(first + (page + 1) * directoryBytes) : 0)
        }
        return bytes
    }

    /// Draws new pixels; how many there are follows from where the first directory lies.
    private static func fill(_ bytes: inout [UInt8], using generator: inout SeededGenerator) {
        let end = (0..<4).reduce(0) { $0 | Int(bytes[4 + $1]) << (8 * $1) }
        for index in pixelStart..<end { bytes[index] = UInt8.random(in: 0...255, using: &generator) }
    }

    private static func little<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
        withUnsafeBytes(of: number.littleEndian) { Array($0) }
    }

    private static func bytes(of file: FilePath) throws -> [UInt8] {
        let descriptor = try FileDescriptor.open(file, .readOnly)
        return try descriptor.closeAfter {
            let size = Int(try descriptor.seek(offset: 0, from: .end))
            return try [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
                count = try descriptor.read(fromAbsoluteOffset: 0, into: UnsafeMutableRawBufferPointer(buffer))
            }
        }
    }

    private static func rename(_ from: FilePath, to target: FilePath) throws {
        let done = from.withPlatformString { from in target.withPlatformString { Glibc.rename(from, $0) } }
        guard done == 0 else { throw Errno(rawValue: errno) }
    }
}
