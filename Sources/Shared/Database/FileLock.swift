internal import SystemPackage

#if canImport(Glibc)
    private import Glibc
#endif

/// A file to hold with flock; the kernel lets go of it when its process ends, however it ends.
final class FileLock: Sendable {
    enum Mode {
        case shared
        case exclusive
    }

    /// Closed in programs that are started, unless they are given it: then they hold the lock too, until the last of
    /// them ends.
    let descriptor: Int32
    private let path: FilePath

    /// Opens the file, or makes it; holds nothing yet.
    init(_ path: FilePath) throws(DatabaseError) {
        self.path = path
        // NFS wants a descriptor that may write for an exclusive lock.
        var opened = path.withPlatformString { open($0, O_RDWR | O_CREAT | O_CLOEXEC, 0o644) }
        if opened < 0, [EACCES, EPERM, EROFS].contains(errno) {
            // Another user's: elsewhere, whoever may read a file may lock it.
            let reason = errno
            opened = path.withPlatformString { open($0, O_RDONLY | O_CLOEXEC) }
            if opened < 0 { errno = reason }
        }
        descriptor = opened
        guard descriptor >= 0 else {
            throw .embeddedServer(
                reason: "\(path.displayText) cannot be opened: \(String(cString: strerror(errno))). "
                    + "Set QUIRE_DATA to a directory of your own.")
        }
    }

    deinit { close(descriptor) }

    /// The file's number in its file system: another one under this name is another lock.
    var fileNumber: UInt64 {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? UInt64(status.st_ino) : 0
    }

    /// Tries once; false where another program holds it, an error where locks do not work here.
    func tryLock(_ mode: Mode) throws(DatabaseError) -> Bool {
        while flock(descriptor, (mode == .shared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0 {
            switch errno {
            case EWOULDBLOCK: return false
            case EINTR: continue
            default: throw Self.failure(path, errno)
            }
        }
        return true
    }

    /// Tries for `seconds`; blocks the thread.
    ///
    /// For a lock whose last holder has ended, too: a program that any thread is just starting has a copy of all descriptors
    /// until it has begun, and with it the lock, though both are closed a moment later.
    func lock(_ mode: Mode, seconds: Int) throws(DatabaseError) -> Bool {
        for _ in 0..<seconds * 20 {
            if try tryLock(mode) { return true }
            usleep(50_000)
        }
        return try tryLock(mode)
    }

    func unlock() { flock(descriptor, LOCK_UN) }

    private static func failure(_ path: FilePath, _ number: Int32) -> DatabaseError {
        let isUnsupported = [ENOLCK, EBADF, EOPNOTSUPP, ENOSYS, EINVAL, EIO].contains(number)
        let place = "a directory on a disk of this machine"
        return .embeddedServer(
            reason: "\(path.displayText) cannot be locked: \(String(cString: strerror(number))). "
                + (isUnsupported
                    ? "Network file systems often have no locks that can be relied on: set QUIRE_DATA to \(place)."
                    : "Set QUIRE_DATA to \(place)."))
    }
}
