private import Glibc
package import SystemPackage

extension FileStamp {
    /// The stamp of a file as it is now; follows symbolic links.
    ///
    /// Throws what stat(2) says.
    package init(of path: FilePath) throws(Errno) {
        var info = stat()
        guard path.withPlatformString({ stat($0, &info) }) == 0 else { throw Errno(rawValue: errno) }
        self.init(info)
    }

    /// The stamp in what stat(2) returned.
    package init(size: Int64, seconds: Int, nanoseconds: Int) {
        self.init(size: size, modifiedNanoseconds: Int64(seconds) * 1_000_000_000 + Int64(nanoseconds))
    }

    private init(_ info: stat) {
        self.init(size: Int64(info.st_size), seconds: info.st_mtim.tv_sec, nanoseconds: info.st_mtim.tv_nsec)
        changedNanoseconds = Int64(info.st_ctim.tv_sec) * 1_000_000_000 + Int64(info.st_ctim.tv_nsec)
    }
}
