private import Glibc
internal import SystemPackage

/// Where packed weights lie: in memory, or in a file beside the model that later starts map instead of packing again.
///
/// The file holds, from a page boundary on, the weights in the order in which they were packed; then the index, lines of
/// `name offset bytes`; then the key, which tells the checkpoint and the format that the panels were made from; then the
/// lengths of key and index and a closing word. It is written under another name and renamed when it is whole, so a
/// file that is there can be trusted; one that does not fit is made anew.
///
/// `@unchecked Sendable`: used by one thread, while a model is loaded.
package final class PanelStore: @unchecked Sendable {
    private static let chunk = 256 << 20
    /// A smaller checkpoint is packed in less than a second.
    private static let leastCached = 256 << 20
    private static let closing: UInt64 = 0x3173_6c65_6e61_5051

    private struct Place {
        let offset: Int
        let count: Int
    }

    private let cache: FilePath?
    private let key: String
    private var places: [String: Place] = [:]
    private var mapped: Region?
    private var writing: FileDescriptor?
    private var draft: FilePath?
    private var region: Region?
    private var used = 0
    private var written = 0

    /// A store in memory.
    init() {
        cache = nil
        key = ""
    }

    /// A store in a file; whatever hinders that makes it one in memory.
    ///
    /// - Parameters:
    ///   - cache: the file.
    ///   - key: what the panels are made from.
    init(cache: FilePath, key: String) {
        self.cache = cache
        self.key = key
        if open(cache) { return }
        let draft = FilePath(cache.string + ".\(getpid()).part")
        guard
            let descriptor = try? FileDescriptor.open(
                draft, .readWrite, options: [.create, .truncate, .closeOnExec], permissions: [.ownerReadWrite, .groupRead, .otherRead])
        else { return }
        self.draft = draft
        writing = descriptor
    }

    /// The store for a checkpoint's weights: a file beside it where packing takes longer than mapping.
    package convenience init(for checkpoint: Checkpoint, precision: Precision) {
        guard checkpoint.byteCount >= Self.leastCached, let stamp = checkpoint.stamp else {
            self.init()
            return
        }
        self.init(
            cache: checkpoint.path.appending("quire-panels-\(precision.rawValue).bin"),
            key: "quire panels 1 \(precision.rawValue)\n" + stamp)
    }

    deinit { abandon() }

    /// Whether all weights come from a file that was made before.
    var isReady: Bool { mapped != nil }

    /// The memory of a weight, which `fill` writes unless it is there already.
    func memory(
        named name: String, byteCount: Int, fill: (UnsafeMutableRawPointer) -> Void
    ) throws(InferenceError) -> any PanelMemory {
        if let mapped {
            guard let place = places[name], place.count == byteCount else {
                throw .badRequest("The packed weights in \(cache?.string ?? "memory") lack \(name): delete that file.")
            }
            return Panels(region: mapped, offset: place.offset)
        }
        let size = (byteCount + 4095) & ~4095
        if region.map({ used + size > $0.byteCount }) ?? true { try makeRegion(atLeast: size) }
        guard let region else { preconditionFailure("there is a region now") }
        let offset = used
        used += size
        fill(region.base + offset)
        places[name] = Place(offset: written - region.byteCount + offset, count: byteCount)
        return Panels(region: region, offset: offset)
    }

    /// Completes the file, once all weights are packed.
    func finish() {
        guard let cache, let draft, let writing else { return }
        let index = places.sorted { $0.value.offset < $1.value.offset }
            .map { "\($0.key) \($0.value.offset) \($0.value.count)\n" }.joined()
        do {
            let tail = Array(index.utf8) + Array(key.utf8) + [UInt64(key.utf8.count), UInt64(index.utf8.count), Self.closing]
                .flatMap { number in (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
            _ = try writing.writeAll(toAbsoluteOffset: Int64(written), tail)
            guard fsync(writing.rawValue) == 0, rename(draft.string, cache.string) == 0 else { return abandon() }
            self.draft = nil
            abandon()
        } catch {
            abandon()
        }
    }

    private func abandon() {
        try? writing?.close()
        writing = nil
        if let draft { unlink(draft.string) }
        draft = nil
    }

    /// A further region: a part of the file, or memory of its own.
    private func makeRegion(atLeast size: Int) throws(InferenceError) {
        let byteCount = max(size, writing == nil ? min(Self.chunk, max(size, 4 << 20)) : Self.chunk)
        used = 0
        if let writing {
            // Space is taken now: a full disk must not show as a signal while panels are written.
            if posix_fallocate(writing.rawValue, off_t(written), off_t(byteCount)) == 0,
                let region = Region(descriptor: writing.rawValue, offset: written, byteCount: byteCount, isWritable: true)
            {
                self.region = region
                written += byteCount
                return
            }
            abandon()
        }
        guard let region = Region(byteCount: byteCount) else {
            throw .badRequest(
                "There is no room for \(byteCount >> 20) MB of weights: \(String(cString: strerror(errno))).")
        }
        self.region = region
        written += byteCount
    }

    /// Maps a file that was made before; false where there is none for this key.
    private func open(_ path: FilePath) -> Bool {
        guard let descriptor = try? FileDescriptor.open(path, .readOnly, options: .closeOnExec) else { return false }
        defer { try? descriptor.close() }
        guard let size = try? descriptor.seek(offset: 0, from: .end), size >= 24,
            let whole = Region(descriptor: descriptor.rawValue, offset: 0, byteCount: Int(size), isWritable: false)
        else { return false }
        let end = Int(size)
        func number(_ place: Int) -> Int {
            Int(truncatingIfNeeded: (whole.base + end - 24 + 8 * place).loadUnaligned(as: UInt64.self))
        }
        let (keyCount, indexCount) = (number(0), number(1))
        guard UInt64(number(2)) == Self.closing, keyCount >= 0, indexCount >= 0, keyCount < end, indexCount < end,
            keyCount + indexCount + 24 <= end
        else { return false }
        let bytes = UnsafeRawBufferPointer(start: whole.base, count: end)
        let keyStart = end - 24 - keyCount
        guard bytes[keyStart..<keyStart + keyCount].elementsEqual(key.utf8) else { return false }
        let index = String(decoding: bytes[(keyStart - indexCount)..<keyStart], as: UTF8.self)
        for line in index.split(separator: "\n") {
            let parts = line.split(separator: " ")
            guard parts.count == 3, let offset = Int(parts[1]), let count = Int(parts[2]), offset >= 0, count > 0,
                offset + count <= keyStart - indexCount
            else { return false }
            places[String(parts[0])] = Place(offset: offset, count: count)
        }
        mapped = whole
        return true
    }
}

/// One weight's part of a region, which it keeps.
private struct Panels: PanelMemory {
    let region: Region
    let offset: Int

    func withBytes<R>(_ body: (UnsafeRawPointer) -> R) -> R { body(UnsafeRawPointer(region.base + offset)) }
}

/// Mapped memory, unmapped with its last user.
///
/// `@unchecked Sendable`: written only while its store packs, and only read after that.
private final class Region: @unchecked Sendable {
    let base: UnsafeMutableRawPointer
    let byteCount: Int

    /// Memory of its own, in large pages where the system has them.
    init?(byteCount: Int) {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS
        guard let base = mmap(nil, byteCount, PROT_READ | PROT_WRITE, flags, -1, 0), base != MAP_FAILED else {
            return nil
        }
        madvise(base, byteCount, MADV_HUGEPAGE)
        self.base = base
        self.byteCount = byteCount
    }

    /// A part of a file.
    init?(descriptor: CInt, offset: Int, byteCount: Int, isWritable: Bool) {
        let protection = isWritable ? PROT_READ | PROT_WRITE : PROT_READ
        guard let base = mmap(nil, byteCount, protection, MAP_SHARED, descriptor, off_t(offset)), base != MAP_FAILED
        else { return nil }
        madvise(base, byteCount, MADV_HUGEPAGE)
        self.base = base
        self.byteCount = byteCount
    }

    deinit { munmap(base, byteCount) }
}
