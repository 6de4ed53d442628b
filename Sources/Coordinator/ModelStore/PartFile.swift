private import Glibc
private import Synchronization
internal import SystemPackage

/// What has arrived of a file, under a name of its own until it is whole and right.
///
/// The name holds the beginning of the digest, so that the rest of another revision is never put behind it.
final class PartFile: HTTPSink {
    let path: FilePath
    /// The whole file's size in bytes.
    let size: Int64
    private let file: FileDescriptor
    private let progress: PullProgress
    private let state: Mutex<State>

    private struct State {
        var length: Int64
        /// Where the answer to the current request has to begin.
        var wanted: Range<Int64>
    }

    /// Opens or makes the file and keeps other programs from writing into it.
    ///
    /// - Throws: `unusableFile`.
    init(for remote: RemoteFile, in directory: FilePath, progress: PullProgress) throws(ModelStoreError) {
        let path = directory.appending(remote.partName)
        do {
            file = try FileDescriptor.open(
                path, .readWrite, options: [.create, .closeOnExec, .noFollow],
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
        } catch {
            throw .unusableFile(path, reason: "it cannot be opened: \(error)")
        }
        self.path = path
        self.progress = progress
        size = remote.size
        var length: Int64 = 0
        var failure: ModelStoreError?
        if flock(file.rawValue, LOCK_EX | LOCK_NB) != 0 {
            failure = .unusableFile(path, reason: "another program is fetching it at this moment")
        } else {
            do { length = try file.seek(offset: 0, from: .end) } catch {
                failure = .unusableFile(path, reason: "\(error)")
            }
        }
        state = Mutex(State(length: length, wanted: 0..<0))
        if let failure { throw failure }
        if length > remote.size { try truncate() }
    }

    deinit {
        // A program that is being started at this moment still has a copy of the descriptor, which would hold the lock.
        flock(file.rawValue, LOCK_UN)
        try? file.close()
    }

    /// How many bytes have arrived.
    var length: Int64 { state.withLock { $0.length } }

    /// What to ask for next, at most `window` bytes.
    func nextRange(window: Int64) -> Range<Int64> {
        state.withLock { state in
            state.wanted = state.length..<min(size, state.length + window)
            return state.wanted
        }
    }

    /// Throws away what has arrived.
    func truncate() throws(ModelStoreError) {
        do { try file.resize(to: 0) } catch { throw .unusableFile(path, reason: "it cannot be emptied: \(error)") }
        state.withLock { $0.length = 0 }
        progress.moved(to: 0)
    }

    /// Waits until what has arrived is on the disk.
    func sync() throws(ModelStoreError) {
        guard fsync(file.rawValue) == 0 else {
            throw .unusableFile(path, reason: "it cannot be written: \(Errno(rawValue: errno))")
        }
    }

    /// Gives the file its name.
    func take(_ target: FilePath) throws(ModelStoreError) {
        let renamed = path.withPlatformString { from in target.withPlatformString { to in rename(from, to) } }
        guard renamed == 0 else {
            throw .unusableFile(target, reason: "the fetched file cannot be put there: \(Errno(rawValue: errno))")
        }
    }

    /// Deletes the file.
    func discard() { _ = path.withPlatformString { unlink($0) } }

    // MARK: - HTTPSink

    func begin(_ head: HTTPHead) throws(ModelStoreError) {
        let wanted = state.withLock { $0.wanted }
        switch head.status {
        case 206:
            guard let given = head.contentRange, given.range.lowerBound == wanted.lowerBound,
                given.range.upperBound <= wanted.upperBound, (given.total ?? size) == size
            else { throw .badAnswer(url: head.url, reason: "it is another part of the file than the one asked for") }
        case 200:
            guard (head.contentLength ?? size) == size else {
                throw .badAnswer(
                    url: head.url, reason: "the file has \(head.contentLength ?? 0) bytes, and \(size) in the listing")
            }
            // A server that knows no ranges sends everything from the beginning.
            if wanted.lowerBound > 0 { try truncate() }
        default: throw .status(head.status, url: head.url, retrySeconds: head.retrySeconds)
        }
    }

    func receive(_ bytes: UnsafeRawBufferPointer) throws(ModelStoreError) {
        let start = length
        guard start + Int64(bytes.count) <= size else {
            throw .badAnswer(url: path.string, reason: "more arrived than the \(size) bytes in the listing")
        }
        do {
            try file.writeAll(toAbsoluteOffset: start, bytes)
        } catch {
            throw .unusableFile(path, reason: "it cannot be written: \(error)")
        }
        let length = start + Int64(bytes.count)
        state.withLock { $0.length = length }
        progress.moved(to: length)
    }
}

/// Gathers a small answer in memory.
final class TextSink: HTTPSink {
    private static let limit = 4 << 20
    private let url: String
    private let state = Mutex<[UInt8]>([])

    init(url: String) { self.url = url }

    var bytes: [UInt8] { state.withLock { $0 } }

    func begin(_ head: HTTPHead) throws(ModelStoreError) {
        guard head.status == 200 else { throw .status(head.status, url: url, retrySeconds: head.retrySeconds) }
        state.withLock { $0 = [] }
    }

    func receive(_ bytes: UnsafeRawBufferPointer) throws(ModelStoreError) {
        let fits = state.withLock { gathered in
            guard gathered.count + bytes.count <= Self.limit else { return false }
            gathered.append(contentsOf: bytes)
            return true
        }
        guard fits else { throw .badAnswer(url: url, reason: "it is longer than any listing of a model") }
    }
}
