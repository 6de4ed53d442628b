private import Glibc
package import SystemPackage

/// A file of the archive, opened once: what is hashed, counted and rendered comes from the same descriptor.
///
/// Names lead elsewhere as soon as somebody renames or copies; an open descriptor does not. All calls block.
package final class SourceFile: Sendable {
    package let path: FilePath
    /// As it was when it was opened.
    package let identity: FileIdentity
    let descriptor: Descriptor

    /// Opens a regular file by the bytes of its name.
    package convenience init(_ path: FilePath) throws(RenderError) {
        let (raw, code) = Self.open(path)
        guard let raw else {
            throw Self.error(code) {
                "The file cannot be opened (\($0)): see that it is there and that its rights let you read it."
            }
        }
        try self.init(path, Descriptor(owning: raw))
    }

    /// Opens a file that need not be there; nil where it is not.
    static func ifThere(_ path: FilePath) throws(RenderError) -> SourceFile? {
        let (raw, code) = open(path)
        guard let raw else {
            if [ENOENT, ENOTDIR, ENAMETOOLONG].contains(code) { return nil }
            throw error(code) { "The file \(path.lastComponent?.string ?? "") beside it cannot be opened (\($0))." }
        }
        return try SourceFile(path, Descriptor(owning: raw))
    }

    private init(_ path: FilePath, _ descriptor: consuming Descriptor) throws(RenderError) {
        let info = try Self.information(descriptor.raw)
        guard info.st_mode & S_IFMT == S_IFREG else {
            throw RenderError(.unopenable, "This is not a regular file: only those are read.")
        }
        self.path = path
        identity = FileIdentity(info)
        self.descriptor = descriptor
    }

    /// The descriptor, or the system's error number.
    private static func open(_ path: FilePath) -> (raw: Int32?, code: Int32) {
        // Without waiting: a named pipe would have no writer.
        let raw = path.withPlatformString { Glibc.open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) }
        return raw >= 0 ? (raw, 0) : (nil, errno)
    }

    /// Throws where the file is no longer what it was when it was opened, or cannot be asked.
    package func checkUnchanged() throws(RenderError) {
        guard try FileIdentity(Self.information(descriptor.raw)) == identity else {
            throw RenderError(
                .changed,
                "The file changed while it was read: what comes of it belongs to no content. Wait until it is "
                    + "whole, then submit its folder again.")
        }
    }

    /// Fills the buffer from an offset; fewer bytes only at the end of the file.
    package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(RenderError) -> Int {
        var filled = 0
        while filled < buffer.count {
            let got = pread(
                descriptor.raw, buffer.baseAddress.map { $0 + filled }, buffer.count - filled,
                off_t(offset) + off_t(filled))
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw Self.unreadable(errno) }
            if got == 0 { break }
            filled += got
        }
        return filled
    }

    /// Up to `count` first bytes.
    package func firstBytes(_ count: Int) throws(RenderError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var failure: RenderError?
        let got = bytes.withUnsafeMutableBytes { buffer in
            do throws(RenderError) {
                return try read(into: buffer, at: 0)
            } catch {
                failure = error
                return 0
            }
        }
        if let failure { throw failure }
        return Array(bytes.prefix(got))
    }

    private static func information(_ raw: Int32) throws(RenderError) -> stat {
        var info = stat()
        guard fstat(raw, &info) == 0 else { throw unreadable(errno) }
        return info
    }

    private static func unreadable(_ code: Int32) -> RenderError {
        error(code) { "The file cannot be read (\($0)): the disk or share may be at fault." }
    }

    /// What the system says of a file is the file's or its mount's, unless it has nothing left to open it with.
    private static func error(_ code: Int32, _ sentence: (String) -> String) -> RenderError {
        guard ![EMFILE, ENFILE, ENOMEM, ENOBUFS].contains(code) else {
            errno = code
            return RenderError(lastErrorDuring: "open a file")
        }
        return RenderError(.unopenable, sentence(String(cString: strerror(code))))
    }
}
