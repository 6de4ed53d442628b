internal import Digest
internal import SystemPackage

#if canImport(Glibc)
    private import Glibc
#endif

/// Digests of large files, remembered by path, size and time of modification.
///
/// A text file of lines `hex size nanoseconds path`, the path in hexadecimal. Losing it costs time only, so it is written
/// when it can be, and lines that cannot be read are dropped.
final class FileDigestCache {
    private struct Stamp: Hashable {
        var size: Int64
        var nanoseconds: Int64
    }

    private let directory: FilePath
    private var known: [[UInt8]: (stamp: Stamp, digest: SHA256Digest)] = [:]
    private var isChanged = false

    static var defaultDirectory: FilePath {
        let variable = { (name: String) in getenv(name).map { String(cString: $0) } }
        if let path = variable("XDG_CACHE_HOME"), path.hasPrefix("/") { return FilePath(path).appending("quire") }
        return FilePath(variable("HOME") ?? "/tmp").appending(".cache/quire")
    }

    init(directory: FilePath) {
        self.directory = directory
        for line in (SmallFile.readText(directory.appending("digests")) ?? "").split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 4, let digest = SHA256Digest(hex: String(words[0])), let size = Int64(words[1]),
                let nanoseconds = Int64(words[2]), let path = Self.bytes(ofHex: words[3])
            else { continue }
            known[path] = (Stamp(size: size, nanoseconds: nanoseconds), digest)
        }
    }

    /// The file's SHA-256, from the cache where the file looks unchanged.
    func digest(of path: FilePath) throws(ModelDigestError) -> SHA256Digest {
        let key = path.withPlatformString { start -> [UInt8] in
            guard let real = realpath(start, nil) else { return path.bytes }
            defer { free(real) }
            return FilePath(platformString: real).bytes
        }
        let file = path.withPlatformString { open($0, O_RDONLY | O_CLOEXEC) }
        guard file >= 0 else {
            throw .unreadable(
                reason: "\(path.displayText) cannot be opened: \(String(cString: strerror(errno))). "
                    + "The directory must hold the whole model.")
        }
        defer { close(file) }
        guard let before = Self.stamp(file) else { throw .unreadable(reason: "\(path.displayText) is no file.") }
        if let entry = known[key], entry.stamp == before { return entry.digest }

        var hash = SHA256()
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = read(file, &buffer, buffer.count)
            guard count >= 0 else {
                throw .unreadable(
                    reason: "\(path.displayText) cannot be read: \(String(cString: strerror(errno))).")
            }
            if count == 0 { break }
            buffer.withUnsafeBytes { hash.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
        let digest = hash.finalize()
        guard let after = Self.stamp(file), after == before else {
            throw .unreadable(reason: "\(path.displayText) changed while it was read. Wait until it is whole.")
        }
        known[key] = (before, digest)
        isChanged = true
        return digest
    }

    /// Writes the cache if it has news.
    func save() {
        guard isChanged else { return }
        var path = FilePath(root: directory.root)
        for component in directory.components {
            path.append(component)
            _ = path.withPlatformString { mkdir($0, 0o755) }
        }
        let lines = known.map { path, entry in
            "\(entry.digest.hex) \(entry.stamp.size) \(entry.stamp.nanoseconds) \(Self.hex(path))\n"
        }
        let temporary = directory.appending("digests.\(getpid()).\(UInt32.random(in: 0...UInt32.max))")
        guard (try? SmallFile.write(lines.sorted().joined(), to: temporary)) != nil else { return }
        let target = directory.appending("digests")
        _ = temporary.withPlatformString { from in target.withPlatformString { rename(from, $0) } }
    }

    private static func stamp(_ file: Int32) -> Stamp? {
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Stamp(
            size: Int64(status.st_size),
            nanoseconds: Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec))
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static func bytes(ofHex text: Substring) -> [UInt8]? {
        let digits = text.utf8.map { Character(UnicodeScalar($0)).hexDigitValue }
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = digits[index], let low = digits[index + 1] else { return nil }
            bytes.append(UInt8(high << 4 | low))
        }
        return bytes
    }
}
