import Glibc
import SystemPackage

/// A folder of one test; it goes away with its files.
final class TemporaryFolder {
    let path: FilePath
    private var files: [FilePath] = []
    private var folders: [FilePath] = []

    init() throws {
        var template = Array("/tmp/quire-test-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw Errno(rawValue: errno) }
        path = FilePath(platformString: made)
    }

    func write(_ text: String, to path: FilePath) throws {
        files.append(path)
        let file = try FileDescriptor.open(
            path, .writeOnly, options: [.create, .truncate], permissions: .ownerReadWrite)
        try file.closeAfter { _ = try file.writeAll(text.utf8) }
    }

    func makeFolder(_ name: String) throws {
        folders.append(path.appending(name))
        guard path.appending(name).withPlatformString({ mkdir($0, 0o700) }) == 0 else { throw Errno(rawValue: errno) }
    }

    func link(_ target: FilePath, as name: String) throws {
        let place = path.pushing(FilePath(name))
        files.append(place)
        let result = target.withPlatformString { target in place.withPlatformString { symlink(target, $0) } }
        guard result == 0 else { throw Errno(rawValue: errno) }
    }

    deinit {
        for file in files { _ = file.withPlatformString { unlink($0) } }
        for folder in folders { _ = folder.withPlatformString { rmdir($0) } }
        _ = path.withPlatformString { rmdir($0) }
    }
}
