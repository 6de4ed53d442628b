import Claiming
import Shared
import SystemPackage
import Testing

/// Whose failure it is, by what the machine and the queue say.
@Suite struct HealthKeeperTests {
    private struct Machine: MachineProbe {
        var fault: String?
        var canRead = false
        var absence = FileAbsence.withoutBatch

        func rendererFault() async -> String? { fault }
        func canRead(anyOf files: [Shared.SourceLocation]) async -> Bool {
            // The file that failed is asked last; the others are its witnesses.
            canRead && files.count > 1
        }
        func absence(of file: Shared.SourceLocation, in folder: Shared.SourceLocation) async -> FileAbsence {
            folder == Shared.SourceLocation(root: "home", path: "archive") ? absence : .unknown
        }
    }

    private func verdict(
        _ kind: LeaseProblem.Kind, _ machine: Machine, documents: Int = 3
    ) async throws -> (verdict: LeaseVerdict, health: HealthKeeper) {
        let fixture = try await (documents > 1 ? WorkerFixture(pages: 1, 1, 1) : WorkerFixture(pages: 1))
        let lease = try #require(try await fixture.claim()).lease
        let health = HealthKeeper(probe: machine, queue: fixture.queue, heartbeat: fixture.heartbeat)
        return (await health.verdict(on: LeaseProblem(kind, reason: "It is so."), lease: lease, page: 1), health)
    }

    @Test func `a file is at fault where others beside it can be read`() async throws {
        let (verdict, health) = try await verdict(.fileOrMount, Machine(canRead: true, absence: .unknown))
        #expect(verdict == .file(reason: "It is so."))
        #expect(health.hiddenBatches.isEmpty && health.unwell == nil)
    }

    @Test func `the machine does not see a batch of which it can read nothing`() async throws {
        for machine in [Machine(), Machine(absence: .unknown)] {
            let (verdict, health) = try await verdict(.fileOrMount, machine)
            #expect(verdict == .machine)
            #expect(health.hiddenBatches.count == 1 && health.mayClaim, "other batches go on")
            #expect(health.unwell?.contains("cannot see the folder of batch archive (home/archive)") == true)
        }
    }

    @Test func `a mount that does not answer needs no test`() async throws {
        let (verdict, health) = try await verdict(.mount, Machine(canRead: true, absence: .moved))
        #expect(verdict == .machine && health.hiddenBatches.count == 1 && health.mayClaim)
    }

    @Test(arguments: [1, 3])
    func `files that are gone from a folder that holds others were moved`(documents: Int) async throws {
        let (verdict, health) = try await verdict(.fileOrMount, Machine(absence: .moved), documents: documents)
        #expect(verdict == .file(reason: "It is so.") && health.unwell == nil)
        let (empty, _) = try await self.verdict(.fileOrMount, Machine(), documents: documents)
        #expect(empty == .machine, "an empty folder may be a mount point")
    }

    @Test func `files below an empty folder of the batch may come back, and the rest of it goes on`() async throws {
        let (verdict, health) = try await verdict(.fileOrMount, Machine(canRead: true, absence: .underEmptyFolder))
        guard case .file(let reason, let isAbsent) = verdict else {
            Issue.record("\(verdict)")
            return
        }
        #expect(isAbsent && reason.hasPrefix("It is so.") && reason.contains("--forget-missing"))
        #expect(health.hiddenBatches.isEmpty && health.unwell == nil)
    }

    @Test func `files below a folder that is empty here are left to another worker that is well`() async throws {
        let fixture = try await WorkerFixture(pages: 1)
        let lease = try #require(try await fixture.claim()).lease
        var identity = WorkerFixture.identity
        identity.name = "w2"
        let other = try await fixture.queue.register(identity)
        let health = HealthKeeper(
            probe: Machine(absence: .underEmptyFolder), queue: fixture.queue, heartbeat: fixture.heartbeat)
        let problem = LeaseProblem(.fileOrMount, reason: "It is so.")
        // Where the other one does not see them either, the rest of the batch must go on.
        _ = try await fixture.queue.heartbeat(worker: other, tokens: [], unwell: "It sees nothing.")
        guard case .file(_, true) = await health.verdict(on: problem, lease: lease, page: nil) else {
            Issue.record("Nobody else is well.")
            return
        }
        _ = try await fixture.queue.heartbeat(worker: other, tokens: [])
        #expect(await health.verdict(on: problem, lease: lease, page: nil) == .machine)
        #expect(health.hiddenBatches == [fixture.batch])
    }

    @Test func `a renderer that is killed is the machine's failure, until one page alone is`() async throws {
        let fixture = try await WorkerFixture(pages: 3)
        let lease = try #require(try await fixture.claim()).lease
        let health = HealthKeeper(probe: Machine(), queue: fixture.queue, heartbeat: fixture.heartbeat)
        func killed(_ page: Int) async -> LeaseVerdict {
            await health.verdict(on: LeaseProblem(.machineOrContent, reason: "Killed."), lease: lease, page: page)
        }
        #expect(await killed(1) == .machine && !health.mayClaim && health.unwell == "Killed.")
        #expect(await killed(2) == .machine)
        // Another page is read each time before this one is killed again.
        health.succeeded(batch: lease.batchID)
        #expect(await killed(1) == .machine)
        health.succeeded(batch: lease.batchID)
        #expect(await killed(1) == .pages(reason: "Killed.", isPermanent: false))
        #expect(await killed(2) == .machine)
    }

    @Test func `a renderer that passes its test leaves the page to blame, for the time being`() async throws {
        let (passed, well) = try await verdict(.rendererOrContent, Machine())
        #expect(passed == .pages(reason: "It is so.", isPermanent: false) && well.mayClaim)
        let (failed, unwell) = try await verdict(.rendererOrContent, Machine(fault: "No fonts."))
        #expect(failed == .machine && !unwell.mayClaim && unwell.unwell == "No fonts.")
    }

    @Test func `what is certain needs no test`() async throws {
        let (machine, unwell) = try await verdict(.machine, Machine())
        #expect(machine == .machine && unwell.unwell == "It is so.")
        let (content, _) = try await verdict(.content(isPermanent: true), Machine())
        #expect(content == .pages(reason: "It is so.", isPermanent: true))
        let (file, _) = try await verdict(.file, Machine())
        #expect(file == .file(reason: "It is so."))
    }
}
