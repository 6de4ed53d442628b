import Glibc
import SystemPackage

/// A folder of one test; it goes away with its files.
final class TemporaryFolder {
    let path: FilePath
    private var files: [FilePath] = []

    init() throws {
        var template = Array("/tmp/quire-test-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw Errno(rawValue: errno) }
        path = FilePath(platformString: made)
    }

    func write(_ text: String, to path: FilePath) throws {
        files.append(path)
        let file = try FileDescriptor.open(path, .writeOnly, options: [.create, .truncate], permissions: .ownerReadWrite)
        try file.closeAfter { _ = try file.writeAll(text.utf8) }
    }

    deinit {
        for file in files { _ = file.withPlatformString { unlink($0) } }
        _ = path.withPlatformString { rmdir($0) }
    }
}
