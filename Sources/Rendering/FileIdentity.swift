import Glibc

/// Which file an open descriptor leads to, and how it stands: any write to it makes another identity.
package struct FileIdentity: Sendable, Hashable {
    package let device: UInt64
    package let inode: UInt64
    /// Bytes.
    package let size: Int64
    /// Nanoseconds since 1970.
    package let modifiedNanoseconds: Int64
    /// When content, name or rights changed last, nanoseconds since 1970; no program can set it.
    package let changedNanoseconds: Int64

    package init(
        device: UInt64, inode: UInt64, size: Int64, modifiedNanoseconds: Int64, changedNanoseconds: Int64
    ) {
        self.device = device
        self.inode = inode
        self.size = size
        self.modifiedNanoseconds = modifiedNanoseconds
        self.changedNanoseconds = changedNanoseconds
    }

    init(_ info: stat) {
        func nanoseconds(_ time: timespec) -> Int64 { Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec) }
        self.init(
            device: UInt64(info.st_dev), inode: UInt64(info.st_ino), size: Int64(info.st_size),
            modifiedNanoseconds: nanoseconds(info.st_mtim), changedNanoseconds: nanoseconds(info.st_ctim))
    }

    /// Whether a write might have gone before now, or might yet come, without showing in the times.
    ///
    /// File systems keep times to as little as two seconds. Times more than an hour ahead were set by somebody.
    package func isYoung(at nanoseconds: Int64 = now) -> Bool {
        [modifiedNanoseconds, changedNanoseconds].contains { time in
            time > nanoseconds - 2_000_000_000 && time < nanoseconds + 3_600_000_000_000
        }
    }

    /// Nanoseconds since 1970.
    package static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
