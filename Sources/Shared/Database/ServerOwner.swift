private import FoundationEssentials
package import SystemPackage

#if canImport(Glibc)
    private import Glibc
#endif

/// From where a private cluster's server was started, kept in `cluster/owner.json` until it has been stopped.
///
/// Process numbers mean something in one PID namespace of one host only; so the server itself holds `server.lock`, which
/// works in all namespaces of one kernel, and this says which kernel that is.
package struct ServerOwner: Codable, Sendable, Hashable {
    package var host: String
    /// The kernel's id of its boot.
    package var bootID: String
    /// The number of the PID namespace; nil where the kernel did not say.
    package var pidNamespace: Int64?
    /// The server's main process there; nil until it is ready.
    package var pid: Int32?
    package var startTicks: Int64?
    /// When it was started, such as `2026-11-30T15:52:01Z`.
    package var since: String
    /// The file number of the `server.lock` that it holds.
    package var lockFile: UInt64

    package init(
        host: String, bootID: String, pidNamespace: Int64?, pid: Int32? = nil, startTicks: Int64? = nil, since: String,
        lockFile: UInt64
    ) {
        self.host = host
        self.bootID = bootID
        self.pidNamespace = pidNamespace
        self.pid = pid
        self.startTicks = startTicks
        self.since = since
        self.lockFile = lockFile
    }

    /// This process's place, now.
    package static func here(lockFile: UInt64) -> ServerOwner {
        ServerOwner(
            host: ProcessIdentity.host, bootID: ProcessIdentity.bootID, pidNamespace: ProcessIdentity.pidNamespace,
            since: Date.now.formatted(.iso8601), lockFile: lockFile)
    }

    /// Whether the server of such a record may still run, where its socket does not answer and nobody on this kernel holds
    /// `server.lock`.
    package enum Verdict: Sendable, Hashable {
        /// It is gone for certain.
        case gone
        /// Another machine has or had the data, and may still write to them.
        case onAnotherMachine
        /// `server.lock` has been removed since, and with it the proof.
        case withoutProof
    }

    /// - Parameters:
    ///   - here: the place of who asks, with the lock file that was had.
    ///   - disk: where the data lie.
    ///   - isAlive: whether the process of these numbers runs, which is asked in its own PID namespace only.
    /// - Returns: what is certain.
    package func verdict(
        here: ServerOwner, disk: FileSystemKind, isAlive: (_ pid: Int32, _ startTicks: Int64) -> Bool
    ) -> Verdict {
        guard bootID == here.bootID, !bootID.isEmpty else {
            // After a restart of its machine nothing is left of it. A disk that one machine at a time can have is proof
            // where names are not, as those of containers.
            return disk == .ofOneMachine || host == here.host ? .gone : .onAnotherMachine
        }
        if lockFile == here.lockFile { return .gone }
        guard let pidNamespace, pidNamespace == here.pidNamespace, let pid, let startTicks else { return .withoutProof }
        return isAlive(pid, startTicks) ? .withoutProof : .gone
    }

    /// Nil where there is none that can be read.
    package static func read(_ path: FilePath) -> ServerOwner? {
        SmallFile.read(path).flatMap { try? JSONDecoder().decode(ServerOwner.self, from: Data($0)) }
    }

    /// Replaces the file in one step, durably.
    func write(to path: FilePath) throws(DatabaseError) {
        let failure = { (error: any Error) in
            DatabaseError.embeddedServer(reason: "\(path.displayText) cannot be written: \(error).")
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        do {
            let new = path.removingLastComponent().appending("owner.json.new")
            try SmallFile.write(String(decoding: try encoder.encode(self), as: UTF8.self) + "\n", to: new)
            guard new.withPlatformString({ from in path.withPlatformString { rename(from, $0) } }) == 0 else {
                throw Errno(rawValue: errno)
            }
        } catch {
            throw failure(error)
        }
    }
}
