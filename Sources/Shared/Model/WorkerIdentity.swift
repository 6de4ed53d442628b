/// Who a worker is, as it registers itself.
package struct WorkerIdentity: Sendable, Hashable {
    package var name: String
    package var host: String
    /// The kernel's boot id: with it and the pid, whoever shares the host can tell a dead worker at once.
    package var bootID: String
    package var pid: Int32
    /// Start time of the process in clock ticks since boot (field 22 of /proc/PID/stat), as pids are used again.
    package var processStartTicks: Int64
    /// Such as `cpu (2 threads)`.
    package var device: String
    package var version: String
    package var modelDigest: String
    /// Names of the roots that it knows; nil where that does not matter.
    package var roots: [String]?

    package init(
        name: String, host: String, bootID: String, pid: Int32, processStartTicks: Int64, device: String,
        version: String, modelDigest: String, roots: [String]? = nil
    ) {
        self.name = name
        self.host = host
        self.bootID = bootID
        self.pid = pid
        self.processStartTicks = processStartTicks
        self.device = device
        self.version = version
        self.modelDigest = modelDigest
        self.roots = roots
    }
}

/// What the queue tells a worker in answer to its heartbeat.
package struct HeartbeatReply: Sendable {
    /// Tokens of leases that the worker holds no longer; work on them should stop.
    package var lostTokens: Set<Int64>
    /// The worker was asked to finish what it has and leave.
    package var shouldDrain: Bool
    /// The queue no longer knows the worker (it was taken for dead): it must register again.
    package var isUnknown: Bool

    package init(lostTokens: Set<Int64>, shouldDrain: Bool, isUnknown: Bool) {
        self.lostTokens = lostTokens
        self.shouldDrain = shouldDrain
        self.isUnknown = isUnknown
    }
}
