private import Glibc
internal import Shared
internal import SystemPackage

/// Writes a file whole or not at all.
enum WholeFile {
    /// Replaces a regular file, or makes one; what stands there and is none is left alone.
    static func write(_ bytes: [UInt8], to path: FilePath) throws(CommandFailure) {
        var info = stat()
        if path.withPlatformString({ lstat($0, &info) }) == 0, info.st_mode & S_IFMT != S_IFREG {
            throw CommandFailure(
                .output, "\(path.displayText) is no regular file: name another, or - for standard output.")
        }
        guard let name = path.lastComponent else {
            throw CommandFailure(.usage, "\(path.displayText) is no name of a file.")
        }
        var temporary = path
        temporary.removeLastComponent()
        temporary.append(".\(name.string.prefix(40)).\(getpid()).part")
        do {
            let file = try FileDescriptor.open(
                temporary, .writeOnly, options: [.create, .exclusiveCreate, .closeOnExec],
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
            try file.closeAfter {
                try file.writeAll(bytes)
                try file.sync()
            }
            guard temporary.withPlatformString({ old in path.withPlatformString { rename(old, $0) } }) == 0 else {
                throw Errno(rawValue: errno)
            }
        } catch {
            let reason = error as? Errno ?? .ioError
            if reason != .fileExists { _ = temporary.withPlatformString { unlink($0) } }
            throw CommandFailure(.output, "Cannot write \(path.displayText): \(reason).")
        }
    }

    /// All of it to standard output.
    static func writeToStandardOutput(_ bytes: [UInt8]) throws(CommandFailure) {
        do {
            try FileDescriptor.standardOutput.writeAll(bytes)
        } catch {
            throw CommandFailure(.output, "Cannot write to standard output: \(error).")
        }
    }
}
