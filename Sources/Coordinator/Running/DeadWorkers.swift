package import Shared

/// Workers of this host whose processes are gone: what they hold is handed out again at once, not after a silence.
package enum DeadWorkers {
    /// Reports them to the queue and returns how many pages each held.
    @discardableResult
    package static func report(to queue: PageQueue) async throws(DatabaseError) -> [Int32: Int] {
        let host = ProcessIdentity.host
        let bootID = ProcessIdentity.bootID
        let known = try await queue.workersOnHost(bootID: bootID, host: host)
        let workers = try await queue.workers().filter { $0.host == host }
        // Containers share the boot id, and may share the host's name, and have process numbers of their own; a host that
        // was started anew, or another of the same name, has another boot id: those are left to the silence rule.
        let namespace = ProcessIdentity.pidNamespace
        let dead = known.filter { registered in
            registered.bootID == bootID && registered.pidNamespace == namespace
                && workers.contains { $0.id == registered.id }
                && !ProcessIdentity.isAlive(
                    pid: registered.pid, startTicks: registered.processStartTicks, bootID: registered.bootID)
        }
        try await queue.reportDead(workers: dead.map(\.id))
        let pages = dead.map { registered in
            (registered.pid, workers.first { $0.id == registered.id }?.leasedPages ?? 0)
        }
        return Dictionary(pages) { $0 + $1 }
    }
}
