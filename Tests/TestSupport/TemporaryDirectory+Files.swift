private import Glibc
package import SystemPackage

extension TemporaryDirectory {
    /// Makes folders, each in the one before.
    package func makeFolder(_ relative: String) throws {
        var folder = path
        for component in FilePath(relative).components {
            folder.append(component)
            guard folder.withPlatformString({ mkdir($0, 0o755) }) == 0 || errno == EEXIST else {
                throw Errno(rawValue: errno)
            }
        }
    }

    package func makeFile(_ relative: String, _ bytes: [UInt8] = []) throws {
        let file = try FileDescriptor.open(
            path.appending(relative), .writeOnly, options: [.create, .truncate], permissions: .ownerReadWrite)
        try file.closeAfter { _ = try file.writeAll(bytes) }
    }

    package func link(_ relative: String, to target: String) throws {
        guard path.appending(relative).withPlatformString({ symlink(target, $0) }) == 0 else {
            throw Errno(rawValue: errno)
        }
    }

    /// What is in a file; empty where there is none.
    package func text(of file: FilePath) -> String {
        guard let descriptor = try? FileDescriptor.open(file, .readOnly) else { return "" }
        defer { try? descriptor.close() }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while let count = try? buffer.withUnsafeMutableBytes({ try descriptor.read(into: $0) }), count > 0 {
            bytes += buffer.prefix(count)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Writes a file whose name may be any bytes.
    package func write(_ bytes: [UInt8], as name: [UInt8]) throws -> FilePath {
        let file = FilePath(
            platformString: path.string.utf8.map { CChar(bitPattern: $0) } + [47]
                + name.map { CChar(bitPattern: $0) } + [0])
        let descriptor = try FileDescriptor.open(
            file, .writeOnly, options: [.create, .truncate], permissions: .ownerReadWrite)
        try descriptor.closeAfter { _ = try descriptor.writeAll(bytes) }
        return file
    }

    package func write(_ bytes: [UInt8], as name: String) throws -> FilePath { try write(bytes, as: Array(name.utf8)) }
}
