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
    /// The program's.
    package var version: String
    package var modelDigest: String
    /// Names of the roots that it knows; nil where that does not matter.
    package var roots: [String]?
    /// `QuireVersion.engine`: it works on pipelines of this one only.
    package var engineVersion: String
    /// What it rounds weights to: it works on pipelines of this one only.
    package var precision: String
    /// Of its process number, see `ProcessIdentity.pidNamespace`.
    package var pidNamespace: Int64?

    package init(
        name: String, host: String, bootID: String, pid: Int32, processStartTicks: Int64, device: String,
        version: String, modelDigest: String, roots: [String]? = nil, engineVersion: String = QuireVersion.engine,
        precision: String = Pipeline.defaultPrecision, pidNamespace: Int64? = ProcessIdentity.pidNamespace
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
        self.engineVersion = engineVersion
        self.precision = precision
        self.pidNamespace = pidNamespace
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
    /// Leases that the queue had for the worker and the worker did not know: their pages went back.
    package var givenBack: Int

    package init(lostTokens: Set<Int64>, shouldDrain: Bool, isUnknown: Bool, givenBack: Int = 0) {
        self.lostTokens = lostTokens
        self.shouldDrain = shouldDrain
        self.isUnknown = isUnknown
        self.givenBack = givenBack
    }
}
