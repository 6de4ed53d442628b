import Shared
import SystemPackage
import Testing

/// Whether a server that does not answer is gone, from what it has left.
@Suite struct ServerOwnerTests {
    private let owner = ServerOwner(
        host: "one", bootID: "boot", pidNamespace: 10, pid: 77, startTicks: 500, since: "2026-11-30T15:52:01Z",
        lockFile: 5)

    private func verdict(
        _ change: (inout ServerOwner) -> Void, disk: FileSystemKind = .unknown, isAlive: Bool = true
    ) -> ServerOwner.Verdict {
        var here = owner
        change(&here)
        return owner.verdict(here: here, disk: disk) { pid, ticks in
            #expect(pid == 77 && ticks == 500)
            return isAlive
        }
    }

    @Test func `whoever holds the lock on the same kernel knows, whatever the names and namespaces`() {
        #expect(verdict { _ in } == .gone)
        #expect(verdict { $0.pidNamespace = 11 } == .gone)
        #expect(
            verdict {
                $0.host = "two"
                $0.pidNamespace = 11
            } == .gone)
    }

    @Test func `another boot of the same host is a restart`() {
        #expect(verdict { $0.bootID = "next" } == .gone)
    }

    @Test func `another host is refused, unless the disk is of one machine at a time`() {
        let move = { (here: inout ServerOwner) in
            here.bootID = "other"
            here.host = "two"
        }
        #expect(verdict(move) == .onAnotherMachine)
        #expect(verdict(move, disk: .ofOneMachine) == .gone)
        // Two hosts without boot ids are not the same one.
        let nameless = ServerOwner(host: "one", bootID: "", pidNamespace: 0, since: "", lockFile: 5)
        let elsewhere = ServerOwner(host: "two", bootID: "", pidNamespace: 0, since: "", lockFile: 5)
        #expect(nameless.verdict(here: elsewhere, disk: .unknown) { _, _ in false } == .onAnotherMachine)
    }

    @Test func `a lock file that was replaced proves nothing, its own namespace's processes do`() {
        #expect(verdict({ $0.lockFile = 6 }, isAlive: true) == .withoutProof)
        #expect(verdict({ $0.lockFile = 6 }, isAlive: false) == .gone)
        #expect(
            verdict(
                {
                    $0.lockFile = 6
                    $0.pidNamespace = 11
                }, isAlive: false) == .withoutProof)
    }

    @Test(
        arguments: [
            (0x6969, nil, FileSystemKind.network("NFS")), (0xFF53_4D42, nil, .network("CIFS")),
            (0xFE53_4D42, nil, .network("SMB")), (0x517B, nil, .network("SMB")), (0x0102_1997, nil, .network("9p")),
            (0x0BD0_0BD0, nil, .network("Lustre")), (0x00C3_6400, nil, .network("Ceph")),
            (0x5346_414F, nil, .network("AFS")),
            (0x0116_1970, nil, .network("GFS2")), (0x7461_636F, nil, .network("OCFS2")),
            (0x6573_5546, "fuse.sshfs", .network("fuse.sshfs")),
            (0x6573_5546, "fuse.glusterfs", .network("fuse.glusterfs")),
            (0x6573_5546, "fuseblk", .ofOneMachine), (0x6573_5546, "virtiofs", .unknown), (0x6573_5546, nil, .unknown),
            (0xEF53, nil, .ofOneMachine), (0x5846_5342, nil, .ofOneMachine), (0x9123_683E, nil, .ofOneMachine),
            (0x0102_1994, nil, .ofOneMachine), (0x794C_7630, nil, .ofOneMachine), (0x1234_5678, nil, .unknown),
        ] as [(UInt32, String?, FileSystemKind)])
    func `file systems are told apart`(magic: UInt32, name: String?, kind: FileSystemKind) {
        #expect(FileSystemKind(magic: magic, name: name) == kind)
    }

    @Test func `this machine's own folders are of this machine`() {
        #expect(FileSystemKind.of("/tmp") == .ofOneMachine)
        #expect(FileSystemKind.of("/nowhere/at/all") == .unknown)
    }
}
