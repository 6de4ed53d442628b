internal import SystemPackage

#if canImport(Glibc)
    private import Glibc
#endif

/// Reads and writes small files.
enum SmallFile {
    /// Nil where the file cannot be read.
    static func read(_ path: FilePath) -> [UInt8]? {
        guard let file = try? FileDescriptor.open(path, .readOnly, options: .closeOnExec) else { return nil }
        defer { try? file.close() }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            guard let count = try? buffer.withUnsafeMutableBytes({ try file.read(into: $0) }) else { return nil }
            if count == 0 { return bytes }
            bytes += buffer.prefix(count)
        }
    }

    static func readText(_ path: FilePath) -> String? {
        read(path).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Replaces the file's content, or appends to it, and writes it through to the disk.
    static func write(_ text: String, to path: FilePath, appending: Bool = false) throws(Errno) {
        do {
            let options: FileDescriptor.OpenOptions = [.create, .closeOnExec, appending ? .append : .truncate]
            let file = try FileDescriptor.open(
                path, .writeOnly, options: options, permissions: [.ownerReadWrite])
            try file.closeAfter {
                try file.writeAll(text.utf8)
                _ = fsync(file.rawValue)
            }
        } catch let error as Errno {
            throw error
        } catch {
            throw .ioError
        }
    }
}
