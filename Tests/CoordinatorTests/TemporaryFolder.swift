import Glibc
import Shared
import SystemPackage

/// A folder for one test; goes away with this object.
final class TemporaryFolder: Sendable {
    /// Without symbolic links.
    let path: FilePath

    init() throws {
        var name = Array("/tmp/quire-coordinator-XXXXXX".utf8CString)
        guard mkdtemp(&name) != nil, let real = realpath(name, nil) else { throw Errno(rawValue: errno) }
        defer { free(real) }
        path = FilePath(platformString: real)
    }

    deinit {
        let removal = path.withPlatformString { nftw($0, { name, _, _, _ in remove(name) }, 16, FTW_DEPTH | FTW_PHYS) }
        assert(removal == 0)
    }

    func makeFolder(_ relative: String) throws {
        var folder = path
        for component in FilePath(relative).components {
            folder.append(component)
            guard folder.withPlatformString({ mkdir($0, 0o755) }) == 0 || errno == EEXIST else {
                throw Errno(rawValue: errno)
            }
        }
    }

    func makeFile(_ relative: String, _ bytes: [UInt8] = []) throws {
        let file = try FileDescriptor.open(
            path.appending(relative), .writeOnly, options: [.create, .truncate], permissions: .ownerReadWrite)
        try file.closeAfter { _ = try file.writeAll(bytes) }
    }

    func link(_ relative: String, to target: String) throws {
        guard path.appending(relative).withPlatformString({ symlink(target, $0) }) == 0 else {
            throw Errno(rawValue: errno)
        }
    }
}
