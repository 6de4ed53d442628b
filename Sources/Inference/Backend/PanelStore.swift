private import Glibc
package import SystemPackage

/// Where packed weights lie: in memory, or in a file beside the model that later starts map instead of packing again.
///
/// The file holds, from a page boundary on, the weights in the order in which they were packed; then the index, lines of
/// `name offset bytes`; then the key, which tells the checkpoint and the format that the panels were made from; then the
/// lengths of key and index, a checksum of both and a closing word. It is written under another name and renamed when it
/// is whole, so the panels of a file that is there can be trusted; one that does not fit is made anew. Only one store at a
/// time writes, under a lock that goes with its process; any other that finds no file packs in memory.
///
/// `@unchecked Sendable`: used by one thread, while a model is loaded.
package final class PanelStore: @unchecked Sendable {
    /// How much of a file, or of memory, is taken at a time.
    package static let chunk = 256 << 20
    /// A smaller checkpoint is packed in less than a second.
    package static let leastCached = 256 << 20
    private static let closing: UInt64 = 0x3173_6c65_6e61_5051
    /// Bytes of the numbers that end a file.
    private static let tailNumbers = 4 * 8

    private struct Place {
        let offset: Int
        let count: Int
    }

    private let cache: FilePath?
    private let key: String
    private let chunk: Int
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
        chunk = Self.chunk
    }

    /// A store in a file; whatever hinders that makes it one in memory.
    ///
    /// - Parameters:
    ///   - cache: the file.
    ///   - key: what the panels are made from.
    ///   - chunk: how much of it is taken at a time; larger weights get as much as they need.
    package init(cache: FilePath, key: String, chunk: Int = chunk) {
        self.cache = cache
        self.key = key
        self.chunk = chunk
        if open(cache) { return }
        guard let name = cache.lastComponent else { return }
        let draft = cache.removingLastComponent().appending("\(name.string).part")
        guard let descriptor = Self.openDraft(draft) else { return }
        self.draft = draft
        writing = descriptor
    }

    /// An empty file of this name that nobody else writes; nil where there is none to be had.
    ///
    /// What a killed process left behind is taken over. The file is emptied only under the lock, and only if it still has
    /// this name: another store may have finished and renamed it in between, and others may have mapped it since.
    private static func openDraft(_ path: FilePath) -> FileDescriptor? {
        guard
            let descriptor = try? FileDescriptor.open(
                path, .readWrite, options: [.create, .closeOnExec, .noFollow],
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
        else { return nil }
        var (own, named) = (stat(), stat())
        if flock(descriptor.rawValue, LOCK_EX | LOCK_NB) == 0, fstat(descriptor.rawValue, &own) == 0,
            path.withPlatformString({ lstat($0, &named) }) == 0, own.st_ino == named.st_ino,
            own.st_dev == named.st_dev, ftruncate(descriptor.rawValue, 0) == 0
        {
            return descriptor
        }
        try? descriptor.close()
        return nil
    }

    /// The store for a checkpoint's weights: a file beside it where packing takes longer than mapping.
    ///
    /// - Parameters:
    ///   - checkpoint: what is packed.
    ///   - precision: what it is rounded to.
    ///   - leastCached: bytes of the smallest checkpoint that gets a file.
    ///   - chunk: how much of the file is taken at a time.
    package convenience init(
        for checkpoint: Checkpoint, precision: Precision, leastCached: Int = leastCached, chunk: Int = chunk
    ) {
        guard checkpoint.byteCount >= leastCached, let stamp = checkpoint.stamp else {
            self.init()
            return
        }
        self.init(
            cache: Self.file(for: checkpoint.path, precision),
            key: "quire panels 1 \(precision.rawValue)\n" + stamp, chunk: chunk)
    }

    /// Beside the model; in the user's cache folder where nothing can be written there.
    private static func file(for directory: FilePath, _ precision: Precision) -> FilePath {
        let name = "quire-panels-\(precision.rawValue)"
        let beside = directory.appending("\(name).bin")
        if directory.withPlatformString({ access($0, W_OK) }) == 0 { return beside }
        func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
        let folder: FilePath
        if let path = variable("XDG_CACHE_HOME"), path.hasPrefix("/") {
            folder = FilePath(path)
        } else if let home = variable("HOME"), home.hasPrefix("/") {
            folder = FilePath(home).appending(".cache")
        } else {
            return beside
        }
        let own = folder.appending("quire")
        for path in [folder, own] { _ = path.withPlatformString { mkdir($0, 0o755) } }
        // Models are told apart by their place; FNV-1a of its bytes.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        directory.withPlatformString { bytes in
            for place in 0..<strlen(bytes) {
                hash = (hash ^ UInt64(UInt8(bitPattern: bytes[place]))) &* 0x100_0000_01b3
            }
        }
        return own.appending("\(name)-\(String(hash, radix: 16)).bin")
    }

    deinit { abandon() }

    /// Whether all weights come from a file that was made before.
    package var isReady: Bool { mapped != nil }

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
        let text = Array(index.utf8) + Array(key.utf8)
        let numbers = [UInt64(key.utf8.count), UInt64(index.utf8.count), Self.checksum(text), Self.closing]
        let tail = text + numbers.flatMap { number in (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
        // What is left of the last region holds nothing.
        let end = written - (region?.byteCount ?? 0) + used
        guard ftruncate(writing.rawValue, off_t(end)) == 0,
            (try? writing.writeAll(toAbsoluteOffset: Int64(end), tail)) != nil, fsync(writing.rawValue) == 0,
            draft.withPlatformString({ from in cache.withPlatformString { rename(from, $0) } }) == 0
        else { return abandon() }
        self.draft = nil
        abandon()
    }

    /// FNV-1a of 64 bits.
    private static func checksum(_ bytes: some Sequence<UInt8>) -> UInt64 {
        bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }

    /// Ends writing; a draft goes while the lock is still held.
    private func abandon() {
        if let draft { _ = draft.withPlatformString { unlink($0) } }
        draft = nil
        try? writing?.close()
        writing = nil
    }

    /// A further region: a part of the file, or memory of its own.
    private func makeRegion(atLeast size: Int) throws(InferenceError) {
        let byteCount = max(size, writing == nil ? min(chunk, max(size, 4 << 20)) : chunk)
        used = 0
        if let writing {
            // Space is taken now: a full disk must not show as a signal while panels are written.
            if posix_fallocate(writing.rawValue, off_t(written), off_t(byteCount)) == 0,
                let region = Region(
                    descriptor: writing.rawValue, offset: written, byteCount: byteCount, isWritable: true)
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
        guard let size = try? descriptor.seek(offset: 0, from: .end), size >= Self.tailNumbers,
            let whole = Region(descriptor: descriptor.rawValue, offset: 0, byteCount: Int(size), isWritable: false)
        else { return false }
        let end = Int(size)
        func number(_ place: Int) -> Int {
            Int(truncatingIfNeeded: (whole.base + end - Self.tailNumbers + 8 * place).loadUnaligned(as: UInt64.self))
        }
        let (keyCount, indexCount) = (number(0), number(1))
        guard number(3) == Int(truncatingIfNeeded: Self.closing), keyCount >= 0, indexCount >= 0, keyCount < end,
            indexCount < end, keyCount + indexCount + Self.tailNumbers <= end
        else { return false }
        let bytes = UnsafeRawBufferPointer(start: whole.base, count: end)
        let keyStart = end - Self.tailNumbers - keyCount
        let indexStart = keyStart - indexCount
        guard bytes[keyStart..<keyStart + keyCount].elementsEqual(key.utf8),
            number(2) == Int(truncatingIfNeeded: Self.checksum(bytes[indexStart..<keyStart + keyCount]))
        else { return false }
        var places: [String: Place] = [:]
        let index = String(decoding: bytes[indexStart..<keyStart], as: UTF8.self)
        for line in index.split(separator: "\n") {
            let parts = line.split(separator: " ")
            guard parts.count == 3, let offset = Int(parts[1]), let count = Int(parts[2]), offset >= 0, count > 0,
                offset <= indexStart, count <= indexStart - offset
            else { return false }
            places[String(parts[0])] = Place(offset: offset, count: count)
        }
        self.places = places
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
