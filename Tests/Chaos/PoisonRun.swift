import Glibc
import Shared
import SystemPackage
import TestSupport

/// A page that kills each worker that works on it, among pages that harm nobody.
package enum PoisonRun {
    package struct Report: Sendable {
        /// Leases with the page in them that ended with their worker.
        package var crashes = 0
        package var bound = 0
        package var ledgerFaults: [String] = []
    }

    /// How often a page may kill before it is quarantined: once for the whole range, once for each halving until it is
    /// alone, and then until the batch's limit; a page that is alone from the start is given up at that limit.
    ///
    /// The first loss of a range of n pages tries it whole again with one loss on its account, the next ones halve it
    /// ceil(log2 n) times without adding to that, and alone it has `maxLosses - 1` left.
    package static func bound(rangePages: Int, maxLosses: Int) -> Int {
        var halvings = 0
        while 1 << halvings < rangePages { halvings += 1 }
        return halvings + maxLosses
    }

    /// `database` is a connection string; workers that end are reported dead at once, as `quire run` does on its host.
    ///
    /// `places` is how many pages a worker has in hand; what is in hand beside the poison is lost with it.
    package static func run(
        database text: String, places: Int = 6, pages: Int = 64, poison: Int = 23
    ) async throws -> Report {
        let database = Database(connectionString: text)
        let queue = PageQueue(database: database)
        let batch = try await SoakBatch.load([pages, 5], into: database)
        let fleet = try WorkerFleet([.direct, .direct]) { _ in
            [
                RunningProgram.product("quire-fake-worker").string, "--database", text, "--model", SoakBatch.model,
                "--page-ms", "10", "--places", "\(places)", "--crash-on", "\(SoakBatch.path(0)):\(poison)",
            ]
        }
        let deadline = ContinuousClock.now + .seconds(100)
        while true {
            var rows = try await database.query("SELECT count(*) FROM quire.page")
            if !rows.isEmpty, try rows[0].int() >= pages + 5 { break }
            guard ContinuousClock.now < deadline else {
                throw ChaosError.tooSlow("The poisonous page is still alive. \(await fleet.lastWords)")
            }
            let gone = Set(try await fleet.restartEnded())
            if !gone.isEmpty {
                let workers = try await queue.workersOnHost(bootID: ProcessIdentity.bootID, host: ProcessIdentity.host)
                try await queue.reportDead(workers: workers.filter { gone.contains($0.pid) }.map(\.id))
            }
            try await queue.maintain()
            try await Task.sleep(for: .milliseconds(50))
        }
        _ = await fleet.leave()
        var report = Report()
        var rows = try await database.query(
            """
            SELECT count(*), (SELECT max_losses FROM quire.batch WHERE id = $1) FROM quire.attempt a
            JOIN quire.batch_file f ON f.batch_id = a.batch_id AND f.document_id = a.document_id
            WHERE a.batch_id = $1 AND a.outcome = 'lost' AND convert_from(f.path, 'UTF8') = $2
              AND $3 BETWEEN a.first_page AND a.first_page + a.n_pages - 1
            """, [.int(batch), .text(SoakBatch.path(0)), .int(poison)])
        guard !rows.isEmpty else { return report }
        report.crashes = try rows[0].int()
        report.bound = bound(rangePages: 16, maxLosses: try rows[0].int())
        report.ledgerFaults = try await LedgerCheck(database: database, batch: batch).faults(
            pages: pages + 5, quarantined: [(SoakBatch.path(0), poison)])
        await database.close()
        return report
    }
}
