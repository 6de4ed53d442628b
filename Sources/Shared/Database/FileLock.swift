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

    private let descriptor: Int32

    /// Opens the file, or makes it; holds nothing yet.
    init(_ path: FilePath) throws(DatabaseError) {
        // Whoever may read the file may lock it; children do not inherit it.
        descriptor = path.withPlatformString { open($0, O_RDONLY | O_CREAT | O_CLOEXEC, 0o644) }
        guard descriptor >= 0 else {
            throw .embeddedServer(
                reason: "\(path.displayText) cannot be opened: \(String(cString: strerror(errno))). "
                    + "Set QUIRE_DATA to a directory of your own.")
        }
    }

    deinit { close(descriptor) }

    /// Tries once.
    func tryLock(_ mode: Mode) -> Bool {
        flock(descriptor, (mode == .shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0
    }

    /// Tries for `seconds`; blocks the thread.
    func lock(_ mode: Mode, seconds: Int) -> Bool {
        for _ in 0..<seconds * 20 {
            if tryLock(mode) { return true }
            usleep(50_000)
        }
        return tryLock(mode)
    }

    func unlock() { flock(descriptor, LOCK_UN) }
}
