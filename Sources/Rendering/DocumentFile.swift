private import Glibc
import SystemPackage

/// A document that is open, and the password that lies beside it.
struct DocumentFile: ~Copyable {
    let source: SourceFile
    /// What the first bytes say.
    let kind: DocumentKind
    /// The first bytes of its file: what they can mean is tried by whoever opens the document.
    private let password: [UInt8]?

    /// Takes an opened file, and `<file name>.password` beside it where that exists.
    init(_ source: SourceFile) throws(RenderError) {
        let firstBytes = try source.firstBytes(DocumentKind.sniffedBytes)
        let password = try Self.password(beside: source.path)
        self.source = source
        kind = DocumentKind.sniff(firstBytes)
        self.password = password
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
        // A pipe holds at least 4096 bytes, more than is read of a password file, so this never waits for the reader.
        try pipe.writing.write(password ?? [])
        return pipe.takeReading()
    }

    private static func password(beside file: FilePath) throws(RenderError) -> [UInt8]? {
        let name: [CChar] = file.withPlatformString { pointer in
            Array(UnsafeBufferPointer(start: pointer, count: strlen(pointer)))
        }
        let path = name + Array(".password".utf8.map { CChar(bitPattern: $0) }) + [0]
        guard let source = try SourceFile.ifThere(FilePath(platformString: path)) else { return nil }
        let bytes = try source.firstBytes(PasswordVariants.fileBytes)
        guard PasswordVariants(file: bytes) != nil else {
            throw RenderError(
                .locked, "The first line of the password file beside the document is longer than a password can be.")
        }
        return bytes
    }
}
