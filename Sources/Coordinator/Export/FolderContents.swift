private import Glibc
internal import Shared
internal import SystemPackage

/// What the file system holds; symbolic links are never followed.
enum FolderContents {
    enum Kind {
        case absent
        case folder
        case file(size: Int64)
        case other
    }

    static func kind(of path: FilePath) -> Kind {
        var info = stat()
        guard path.withPlatformString({ lstat($0, &info) }) == 0 else { return errno == ENOENT ? .absent : .other }
        switch info.st_mode & S_IFMT {
        case S_IFDIR: return .folder
        case S_IFREG: return .file(size: Int64(info.st_size))
        default: return .other
        }
    }

    /// The names in a folder.
    static func names(in folder: FilePath) throws(ExportError) -> [FilePath.Component] {
        do {
            return try FolderListing.names(in: folder)
        } catch {
            throw .system(folder, action: "read", errno: error)
        }
    }

    /// Makes a folder; returns false if it is there.
    @discardableResult
    static func makeFolder(_ path: FilePath) throws(ExportError) -> Bool {
        if path.withPlatformString({ mkdir($0, 0o777) }) == 0 { return true }
        guard errno == EEXIST else { throw .system(path, action: "make", errno: Errno(rawValue: errno)) }
        return false
    }

    static func isFile(_ path: FilePath) -> Bool { if case .file = kind(of: path) { true } else { false } }

    /// Removes a folder that holds nothing; returns false if it stays.
    static func removeIfEmpty(_ path: FilePath) -> Bool { path.withPlatformString { rmdir($0) } == 0 }

    /// When a file was changed last, in nanoseconds; nil if it is not there.
    static func modified(_ path: FilePath) -> Int64? {
        var info = stat()
        guard path.withPlatformString({ lstat($0, &info) }) == 0 else { return nil }
        return Int64(info.st_mtim.tv_sec) * 1_000_000_000 + Int64(info.st_mtim.tv_nsec)
    }

    static func rename(_ from: FilePath, _ to: FilePath) throws(ExportError) {
        let result = from.withPlatformString { from in to.withPlatformString { Glibc.rename(from, $0) } }
        guard result == 0 else { throw .system(to, action: "rename", errno: Errno(rawValue: errno)) }
    }

    /// Gives a file a second name, or copies it where the file system has no links.
    static func duplicate(_ from: FilePath, _ to: FilePath) throws(ExportError) {
        let linked = from.withPlatformString { from in to.withPlatformString { link(from, $0) } }
        if linked == 0 { return }
        guard let bytes = read(from) else { throw .system(from, action: "read", errno: Errno(rawValue: errno)) }
        let file = try OutputFile(to)
        try file.write(bytes)
        _ = try file.finish()
    }

    /// A file's bytes; nil if it cannot be read.
    static func read(_ path: FilePath) -> [UInt8]? {
        guard let file = try? FileDescriptor.open(path, .readOnly, options: [.closeOnExec, .noFollow]) else {
            return nil
        }
        defer { try? file.close() }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            guard let count = try? buffer.withUnsafeMutableBytes({ try file.read(into: $0) }) else { return nil }
            if count == 0 { return bytes }
            bytes += buffer.prefix(count)
        }
    }

    /// Waits until a file's bytes, or a folder's names, are on the disk.
    static func sync(_ path: FilePath) throws(ExportError) {
        let file = try ExportError.wrap(path, "open") {
            try FileDescriptor.open(path, .readOnly, options: [.closeOnExec, .noFollow, .nonBlocking])
        }
        defer { try? file.close() }
        try ExportError.wrap(path, "write") { try file.sync() }
    }

    /// Waits until a folder with all it holds is on the disk.
    static func syncTree(_ path: FilePath) throws(ExportError) {
        for name in try names(in: path) {
            let inner = path.appending(name)
            switch kind(of: inner) {
            case .folder: try syncTree(inner)
            case .file: try sync(inner)
            case .absent, .other: break
            }
        }
        try sync(path)
    }

    /// Removes a folder with all it holds; nothing happens if it is not there.
    static func removeTree(_ path: FilePath) throws(ExportError) {
        switch kind(of: path) {
        case .absent: return
        case .folder:
            for name in try names(in: path) { try removeTree(path.appending(name)) }
            guard path.withPlatformString({ rmdir($0) }) == 0 else {
                throw .system(path, action: "remove", errno: Errno(rawValue: errno))
            }
        case .file, .other:
            guard path.withPlatformString({ unlink($0) }) == 0 else {
                throw .system(path, action: "remove", errno: Errno(rawValue: errno))
            }
        }
    }
}
