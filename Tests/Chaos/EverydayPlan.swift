/// What happens in an ordinary week, one after the other; the times of leases and heartbeats are those of production.
package struct EverydayPlan: Sendable {
    /// A fault that lasts for some time and then ends.
    package enum Fault: Sendable, Hashable {
        /// PostgreSQL is stopped and started again.
        case outage(seconds: Double)
        /// Results are refused with SQLSTATE 53100, as by a full disk.
        case diskFull(seconds: Double)
        /// Storing results takes longer than a statement may (SQLSTATE 57014).
        case slowStatements(seconds: Double)
        /// The share with the archive is not mounted: an empty folder is there.
        case unmounted(seconds: Double)
        /// The renderer is not there.
        case noRenderer(seconds: Double)
        /// The primary is gone; connections meet its standby, which is read-only for so long and then promoted.
        case failover(seconds: Double)

        package var name: String {
            switch self {
            case .outage(let seconds): "the database away for \(Int(seconds)) s"
            case .diskFull(let seconds): "the database's disk full for \(Int(seconds)) s (53100)"
            case .slowStatements(let seconds): "statements too slow for \(Int(seconds)) s (57014)"
            case .unmounted(let seconds): "the archive not mounted for \(Int(seconds)) s"
            case .noRenderer(let seconds): "no renderer for \(Int(seconds)) s"
            case .failover(let seconds): "a failover, its standby read-only for \(Int(seconds)) s"
            }
        }

        var seconds: Double {
            switch self {
            case .outage(let seconds), .diskFull(let seconds), .slowStatements(let seconds), .unmounted(let seconds),
                .noRenderer(let seconds), .failover(let seconds):
                seconds
            }
        }
    }

    package var seed: UInt64 = 1
    package var pages = 20_000
    package var workers = 6
    package var pageMilliseconds = 200.0
    /// In their order, spread evenly over the pages; a failover comes last.
    package var faults: [Fault] = [
        .outage(seconds: 5), .unmounted(seconds: 45), .noRenderer(seconds: 45), .diskFull(seconds: 45),
        .outage(seconds: 50), .slowStatements(seconds: 75), .outage(seconds: 300), .failover(seconds: 20),
    ]
    /// Files are renamed, copied, rewritten or removed so many seconds after each other.
    package var changeSeconds = 2.0
    /// The folder is submitted again so many seconds after the last time.
    package var submitSeconds = 30.0
    /// Seconds between heartbeats, of silence that is suffered, of a lease, of a statement, and for which a lost
    /// connection is tried again: those of production.
    package var heartbeatSeconds = 10.0
    package var silenceSeconds = 45.0
    package var leaseSeconds = 120.0
    package var statementSeconds = 30.0
    package var patienceSeconds = 30.0
    /// The run fails if it takes longer.
    package var limitSeconds = 2400.0

    package init() {}

    /// The form for `make test`: each kind of fault for seconds, and times to match.
    package static var short: EverydayPlan {
        var plan = EverydayPlan()
        plan.pages = 1200
        plan.workers = 3
        plan.pageMilliseconds = 60
        plan.faults = [
            .outage(seconds: 4), .unmounted(seconds: 4), .noRenderer(seconds: 4), .diskFull(seconds: 4),
            .slowStatements(seconds: 4), .failover(seconds: 3),
        ]
        plan.changeSeconds = 0.5
        plan.submitSeconds = 6
        plan.heartbeatSeconds = 0.5
        plan.silenceSeconds = 3
        plan.leaseSeconds = 8
        plan.statementSeconds = 2
        plan.patienceSeconds = 2
        plan.limitSeconds = 240
        return plan
    }

    /// How many pages each file has.
    var documents: [Int] { DocumentSizes.draw(pages: pages, seed: seed &+ 1) }
}
