/// What a run does to its workers, its database and the lines between them.
package enum FaultKind: String, Sendable, CaseIterable {
    /// SIGKILL of a worker.
    case kill = "a worker killed (SIGKILL)"
    /// A worker is stopped for longer than its silence is suffered, and then goes on.
    case zombie = "a worker stopped and woken too late (SIGSTOP, SIGCONT)"
    /// PostgreSQL is stopped without a checkpoint and started again a second later.
    case crash = "PostgreSQL stopped (-m immediate)"
    /// All connections through the proxy fall silent without being closed.
    case halfOpen = "connections half open"
    /// The link to the other host is dropped and restored.
    case linkDown = "the network between two hosts down"
}

/// One fault of a run, and what it cost.
package struct FaultRecord: Sendable {
    package let kind: FaultKind
    /// Seconds since 1970, by the server's clock.
    let at: Double
    /// What was leased to whom it hit: documents, first and last pages.
    let held: [HeldPages]
    /// Seconds from the fault until all of these pages were recorded; nil where none were held.
    package var secondsLost: Double?

    package var pagesHeld: Int { held.reduce(0) { $0 + $1.count } }
}
