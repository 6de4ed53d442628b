private import Digest
internal import SystemPackage

/// A new file, written in pieces, whose size and digest are known when it is closed.
final class OutputFile {
    private let path: FilePath
    private let file: FileDescriptor
    private var buffer: [UInt8] = []
    private var hash = SHA256()
    private var size = 0

    /// Bytes that are gathered before they are written.
    private static let bufferSize = 1 << 16

    /// Fails if something of that name exists.
    init(_ path: FilePath) throws(ExportError) {
        self.path = path
        file = try ExportError.wrap(path, "create") {
            try FileDescriptor.open(
                path, .writeOnly, options: [.create, .exclusiveCreate, .closeOnExec],
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
        }
    }

    deinit { try? file.close() }

    func write(_ text: String) throws(ExportError) { try write(Array(text.utf8)) }

    func write(_ bytes: [UInt8]) throws(ExportError) {
        buffer += bytes
        if buffer.count >= Self.bufferSize { try flush() }
    }

    /// Writes what is left; nothing may be written afterwards.
    func finish() throws(ExportError) -> (size: Int, sha256: String) {
        try flush()
        var finished = SHA256()
        swap(&finished, &hash)
        return (size, finished.finalize().hex)
    }

    private func flush() throws(ExportError) {
        guard !buffer.isEmpty else { return }
        hash.update(buffer)
        size += buffer.count
        _ = try ExportError.wrap(path, "write") { try file.writeAll(buffer) }
        buffer.removeAll(keepingCapacity: true)
    }
}

extension ExportError {
    /// Names the file and what was tried in what the system reports.
    static func wrap<Value>(
        _ path: FilePath, _ action: String, _ body: () throws -> Value
    ) throws(ExportError) -> Value {
        do {
            return try body()
        } catch {
            throw .system(path, action: action, errno: error as? Errno ?? .ioError)
        }
    }
}
