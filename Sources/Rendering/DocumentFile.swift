private import Glibc
import SystemPackage

/// An opened document and the password that lies beside it.
struct DocumentFile: ~Copyable {
    let descriptor: Descriptor
    /// What the first bytes say.
    let kind: DocumentKind
    private let password: [UInt8]?

    /// Passwords longer than this are not passwords.
    private static let longestPassword = 1024

    /// Opens a regular file by the bytes of its name, and `<file name>.password` beside it where that exists.
    init(_ file: FilePath) throws(RenderError) {
        let descriptor = try Self.openRegular(file)
        let firstBytes = try Self.firstBytes(of: descriptor.raw, count: DocumentKind.sniffedBytes)
        let password = try Self.password(beside: file)
        self.descriptor = descriptor
        kind = DocumentKind.sniff(firstBytes)
        self.password = password
    }

    private static func openRegular(_ file: FilePath) throws(RenderError) -> Descriptor {
        // Without waiting: a named pipe would have no writer.
        let raw = file.withPlatformString { open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) }
        guard raw >= 0 else {
            let reason = String(cString: strerror(errno))
            throw RenderError(
                .unopenable,
                "The file cannot be opened (\(reason)): see that it is there and that its rights let you read it.")
        }
        let descriptor = Descriptor(owning: raw)
        var information = stat()
        guard fstat(raw, &information) == 0, information.st_mode & S_IFMT == S_IFREG else {
            throw RenderError(.unopenable, "This is not a regular file: only those are read.")
        }
        return descriptor
    }

    /// The format, or the error that says what the file is instead.
    borrowing func format() throws(RenderError) -> DocumentFormatName {
        if let reason = kind.reason { throw RenderError(.damaged, reason) }
        guard case .readable(let format) = kind else { throw RenderError(.damaged, "This is no document.") }
        return format
    }

    var hasPassword: Bool { password != nil }

    /// The reading end of a pipe that holds the password, or nothing.
    borrowing func passwordPipe() throws(RenderError) -> Descriptor {
        let pipe = try Pipe()
        // A pipe holds at least 4096 bytes, so this never waits for the reader.
        try pipe.writing.write(password ?? [])
        return pipe.takeReading()
    }

    private static func firstBytes(of raw: Int32, count: Int) throws(RenderError) -> [UInt8] {
        var failed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let got = pread(raw, buffer.baseAddress.map { $0 + filled }, count - filled, off_t(filled))
                if got < 0, errno == EINTR { continue }
                failed = got < 0
                if got <= 0 { return }
                filled += got
            }
        }
        guard !failed else {
            throw RenderError(
                .unopenable,
                "The file cannot be read (\(String(cString: strerror(errno)))): the disk or share may be at fault.")
        }
        return bytes
    }

    private static func password(beside file: FilePath) throws(RenderError) -> [UInt8]? {
        let name: [CChar] = file.withPlatformString { pointer in
            Array(UnsafeBufferPointer(start: pointer, count: strlen(pointer)))
        }
        let path = name + Array(".password".utf8.map { CChar(bitPattern: $0) }) + [0]
        let raw = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard raw >= 0 else {
            if errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG { return nil }
            throw RenderError(
                .locked, "The password file beside the document cannot be opened (\(String(cString: strerror(errno))))."
            )
        }
        let descriptor = Descriptor(owning: raw)
        var information = stat()
        guard fstat(descriptor.raw, &information) == 0, information.st_mode & S_IFMT == S_IFREG else { return nil }
        let line = try firstBytes(of: descriptor.raw, count: longestPassword + 1).prefix {
            $0 != 10 && $0 != 13 && $0 != 0
        }
        guard line.count <= longestPassword else {
            throw RenderError(
                .locked, "The first line of the password file beside the document is longer than a password can be.")
        }
        return Array(line)
    }
}
