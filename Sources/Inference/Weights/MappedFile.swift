private import Glibc
package import SystemPackage

/// A file's bytes, mapped read-only for as long as this lives.
///
/// `@unchecked Sendable`: the mapping is never written and goes away only in `deinit`.
package final class MappedFile: @unchecked Sendable {
    package let path: FilePath
    /// The file's size and time of modification.
    let stamp: String?
    private let region: UnsafeRawBufferPointer

    /// Maps a whole file.
    ///
    /// - Throws: `unreadableFile` with the system's reason.
    package init(_ path: FilePath) throws(InferenceError) {
        self.path = path
        let descriptor: CInt = path.withPlatformString { open($0, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw .unreadableFile(path, reason: Self.lastReason()) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .unreadableFile(path, reason: Self.lastReason()) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .unreadableFile(path, reason: "it is not a regular file")
        }
        let size = Int(status.st_size)
        stamp = "\(size) \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
        guard size > 0 else {
            region = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        guard let start = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED else {
            throw .unreadableFile(path, reason: Self.lastReason())
        }
        region = UnsafeRawBufferPointer(start: start, count: size)
    }

    deinit {
        if let start = region.baseAddress { munmap(UnsafeMutableRawPointer(mutating: start), region.count) }
    }

    /// The file's size in bytes.
    package var count: Int { region.count }

    /// Lends the bytes.
    package func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        body(region)
    }

    /// Lets the system drop whole pages of a range from memory.
    func forget(_ range: Range<Int>) {
        let first = (range.lowerBound + 4095) & ~4095
        let last = range.upperBound & ~4095
        guard let start = region.baseAddress, first < last else { return }
        madvise(UnsafeMutableRawPointer(mutating: start + first), last - first, MADV_DONTNEED)
    }

    /// A copy of all bytes, for small files.
    package func bytes() -> [UInt8] { Array(region) }

    /// Whether something stands at a path, readable or not.
    package static func exists(_ path: FilePath) -> Bool {
        path.withPlatformString { access($0, F_OK) == 0 }
    }

    private static func lastReason() -> String { String(cString: strerror(errno)) }
}
