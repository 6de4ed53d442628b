import Chaos
import SystemPackage
import TestSupport
import Testing

/// The queue under fire, in the short form; `make soak` does the same at length.
@Suite(.serialized) struct ChaosTests {
    @Test func `killed and stopped workers, a crashed database and half-open connections lose no page`() async throws {
        let report = try await Soak.run(.short, host: nil)
        #expect(report.ledgerFaults.isEmpty, "\(report.ledgerFaults)")
        #expect(report.faults.count == 6)
        #expect(report.ended >= 3)
        #expect(report.disorderly == 0)
    }

    @Test func `a network that is down for seconds costs no page`() async throws {
        guard let host = await NetworkHost.ifPossible() else {
            print("Skipped: this user cannot make network namespaces here (ip netns needs root).")
            return
        }
        do {
            let report = try await Soak.run(.shortTwoHosts, host: host)
            #expect(report.ledgerFaults.isEmpty, "\(report.ledgerFaults)")
            #expect(report.faults.map(\.kind) == [.linkDown])
            #expect(report.disorderly == 0)
        } catch {
            await host.remove()
            throw error
        }
        await host.remove()
    }

    @Test func `a page that kills its workers is quarantined within the bound, and its neighbours are done`()
        async throws
    {
        let report = try await PoisonRun.run(database: try await TestPostgres.shared.makeDatabase())
        #expect(report.ledgerFaults.isEmpty, "\(report.ledgerFaults)")
        #expect(report.bound == 7)
        #expect((3...report.bound).contains(report.crashes), "\(report.crashes)")
    }

    @Test func `the faults of an ordinary week fail no page, and leave none with an idle worker`() async throws {
        let report = try await EverydaySoak.run(.short, model: Self.model)
        #expect(report.faults.isEmpty, "\(report.faults)")
        #expect(report.costs.count == EverydayPlan.short.faults.count)
        #expect(report.changes > 0)
        #expect(report.submissions > 0)
        #expect(report.disorderly == 0)
    }

    /// The miniature, which submitting wants for its digest.
    private static let model = FilePath(#filePath).removingLastComponent().removingLastComponent()
        .removingLastComponent().appending("models/quire-nano")

    @Test(arguments: [(1, 3), (2, 4), (9, 7), (16, 7)])
    func `the bound of a range's crashes grows with its halvings`(pages: Int, crashes: Int) {
        #expect(PoisonRun.bound(rangePages: pages, maxLosses: 3) == crashes)
    }
}
