private import CProcess
package import SystemPackage

#if canImport(Glibc)
    private import Glibc
#endif

/// Who else could have a file system mounted: that decides what may be concluded about a server that left its files there.
package enum FileSystemKind: Sendable, Hashable {
    /// Of one machine at a time: whatever another one did there has ended.
    case ofOneMachine
    /// Perhaps shared with other machines.
    case unknown
    /// Shared by a network or a hypervisor, under the name given.
    case network(String)

    /// From statfs's `f_type` and the type's name in /proc/self/mountinfo, which FUSE's file systems are told apart by.
    package init(magic: UInt32, name: String?) {
        if let known = Self.network[magic] {
            self = .network(known)
        } else if Self.local.contains(magic) {
            self = .ofOneMachine
        } else if magic == Self.fuse, let name {
            // fuseblk: on a block device, such as NTFS and exFAT.
            self = name == "fuseblk" ? .ofOneMachine : Self.isNetwork(fuse: name) ? .network(name) : .unknown
        } else {
            self = .unknown
        }
    }

    /// Of the file system on which a file or folder lies; `unknown` where that cannot be seen.
    package static func of(_ path: FilePath) -> FileSystemKind {
        let number = path.withPlatformString { quire_file_system($0) }
        guard number >= 0 else { return .unknown }
        let magic = UInt32(truncatingIfNeeded: number)
        return FileSystemKind(magic: magic, name: magic == fuse ? mountedType(path) : nil)
    }

    private static let fuse: UInt32 = 0x6573_5546

    /// From linux/magic.h, and file systems outside of the kernel.
    private static let network: [UInt32: String] = [
        0x0000_6969: "NFS", 0x0000_517B: "SMB", 0xFF53_4D42: "CIFS", 0xFE53_4D42: "SMB", 0x0102_1997: "9p",
        0x00C3_6400: "Ceph", 0x5346_414F: "AFS", 0x6B41_4653: "AFS", 0x7375_7245: "Coda", 0x0BD0_0BD0: "Lustre",
        0x0116_1970: "GFS2", 0x7461_636F: "OCFS2", 0x4750_4653: "GPFS", 0x0000_564C: "NCP", 0xAAD7_AAEA: "PanFS",
        0x1983_0326: "BeeGFS", 0x2003_0528: "OrangeFS", 0xBEEF_DEAD: "SNFS", 0x6163_6673: "ACFS",
        0x786F_4256: "a folder shared by VirtualBox", 0xBACB_ACBC: "a folder shared by VMware",
        0x7C7C_6673: "a folder shared by Parallels",
    ]

    /// On a disk or in memory: ext, XFS, Btrfs, F2FS, ZFS, tmpfs, ramfs, JFS, NILFS, ReiserFS, bcachefs, overlay, FAT,
    /// exFAT, NTFS, HFS+, UBIFS, aufs.
    private static let local: Set<UInt32> = [
        0x0000_EF53, 0x5846_5342, 0x9123_683E, 0xF2F5_2010, 0x2FC1_2FC1, 0x0102_1994, 0x8584_58F6, 0x3153_464A,
        0x0000_3434, 0x5265_4973, 0xCA45_1A4E, 0x794C_7630, 0x0000_4D44, 0x2011_BAB0, 0x5346_544E, 0x7366_746E,
        0x0000_482B, 0x2405_1905, 0x6175_6673,
    ]

    private static func isNetwork(fuse name: String) -> Bool {
        let parts = [
            "sshfs", "gluster", "juicefs", "ceph", "s3fs", "gcsfuse", "goofys", "rclone", "davfs", "mfs", "lizard",
            "curlftp",
            "seaweed", "vmhgfs", "beegfs", "lustre", "nfs", "smb", "afs", "blobfuse", "mountpoint-s3",
        ]
        return parts.contains { name.contains($0) }
    }

    /// Such as `fuse.sshfs`; nil where mountinfo does not have it.
    private static func mountedType(_ path: FilePath) -> String? {
        var status = stat()
        guard path.withPlatformString({ stat($0, &status) }) == 0,
            let text = SmallFile.readText("/proc/self/mountinfo")
        else { return nil }
        let device = UInt64(status.st_dev)
        let major = (device >> 8 & 0xFFF) | (device >> 32 & ~0xFFF)
        let minor = (device & 0xFF) | (device >> 12 & ~0xFF & 0xFFFF_FFFF)
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count > 2, fields[2] == "\(major):\(minor)", let dash = fields.firstIndex(of: "-"),
                dash + 1 < fields.count
            else { continue }
            return String(fields[dash + 1])
        }
        return nil
    }
}
