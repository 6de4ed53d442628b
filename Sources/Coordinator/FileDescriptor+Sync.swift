private import Glibc
internal import SystemPackage

extension FileDescriptor {
    /// Waits until a file's bytes, or a folder's names, are on the disk.
    func sync() throws(Errno) {
        guard fsync(rawValue) != 0 else { return }
        // Some file systems have no such thing for folders.
        guard ![EINVAL, ENOTSUP, ENOSYS].contains(errno) else { return }
        throw Errno(rawValue: errno)
    }
}
