private import Glibc
import Rendering
private import Synchronization

/// The document as the parent opened it: read by offset, never by name.
struct InputFile: Sendable {
    let descriptor: Int32
    /// Bytes; 0 where the system does not say.
    let size: Int

    init(descriptor: Int32) {
        self.descriptor = descriptor
        var information = stat()
        size = fstat(descriptor, &information) == 0 ? max(0, Int(information.st_size)) : 0
    }

    /// What the system said when bytes of the document could not be read; 0 while all could.
    ///
    /// Parsers take what is missing for damage, or draw the rest of the page.
    private static let failure = Atomic<Int32>(0)

    /// Begins with another document.
    static func forgetFailure() { failure.store(0, ordering: .relaxed) }

    /// Throws where bytes of the document could not be read: nothing that was made of the others counts.
    static func checkAllRead() throws(RenderError) {
        let code = failure.load(ordering: .relaxed)
        guard code != 0 else { return }
        throw RenderError(
            .unopenable,
            "The file cannot be read (\(String(cString: strerror(code)))): the disk or share may be at fault.")
    }

    /// The error, or why bytes were missing where that is behind it.
    static func cause(of error: RenderError) -> RenderError {
        do throws(RenderError) {
            try checkAllRead()
            return error
        } catch let failure {
            return failure
        }
    }

    /// Fills the buffer from an offset; fewer bytes only at the end of the file or when the disk fails.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) -> Int {
        var filled = 0
        while filled < buffer.count {
            let got = pread(
                descriptor, buffer.baseAddress.map { $0 + filled }, buffer.count - filled, off_t(offset + filled))
            if got < 0, errno == EINTR { continue }
            if got < 0 { Self.failure.store(errno, ordering: .relaxed) }
            if got <= 0 { break }
            filled += got
        }
        return filled
    }

    /// Up to `count` bytes from an offset.
    func bytes(at offset: Int, count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
        }
    }

    /// The format by the first bytes.
    func format() throws(RenderError) -> DocumentFormatName {
        let kind = DocumentKind.sniff(bytes(at: 0, count: DocumentKind.sniffedBytes))
        guard case .readable(let format) = kind else {
            throw RenderError(.damaged, kind.reason ?? "This is no document.")
        }
        return format
    }

    /// The whole file in memory, for the formats that are one image.
    func mapped() throws(RenderError) -> MappedFile {
        guard size > 0, let address = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED
        else {
            var bounds = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &bounds)
            let limits = RenderLimits(memoryBytes: Int(clamping: bounds.rlim_cur))
            throw RenderError(
                .tooLarge, "The file has \(size) bytes, more than fits into memory: raise \(limits.memorySetting).")
        }
        return MappedFile(UnsafeRawBufferPointer(start: address, count: size))
    }

    /// The password that the parent hands over.
    static func password(from descriptor: Int32) throws(RenderError) -> [UInt8] {
        var password: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1024)
        while password.count <= 4096 {
            let got = Glibc.read(descriptor, &buffer, buffer.count)
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw RenderError(.broken, "quire-render was given a password that it cannot read.") }
            if got == 0 { break }
            password += buffer.prefix(got)
        }
        return password
    }
}

/// A file's bytes in memory, given back with this object.
final class MappedFile {
    let bytes: UnsafeRawBufferPointer

    /// Takes over what mmap(2) gave.
    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    deinit { if let start = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: start), bytes.count) } }
}
