import Claiming
import Shared
import SystemPackage
import Testing

/// Whose failure it is, by what the machine and the queue say.
@Suite struct HealthKeeperTests {
    private struct Machine: MachineProbe {
        var fault: String?
        var canRead = false
        var hasEntries = false
        var isMissing = true

        func rendererFault() async -> String? { fault }
        func canRead(anyOf files: [Shared.SourceLocation]) async -> Bool {
            // The file that failed is asked last; the others are its witnesses.
            canRead && files.count > 1
        }
        func hasEntries(_ folder: Shared.SourceLocation) async -> Bool {
            hasEntries && folder == Shared.SourceLocation(root: "home", path: "archive")
        }
        func isMissing(_ file: Shared.SourceLocation) async -> Bool { isMissing }
    }

    private func verdict(
        _ kind: LeaseProblem.Kind, _ machine: Machine, documents: Int = 3
    ) async throws -> (verdict: LeaseVerdict, health: HealthKeeper) {
        let fixture = try await (documents > 1 ? WorkerFixture(pages: 1, 1, 1) : WorkerFixture(pages: 1))
        let lease = try #require(try await fixture.claim()).lease
        let health = HealthKeeper(probe: machine, queue: fixture.queue)
        return (await health.verdict(on: LeaseProblem(kind, reason: "It is so."), lease: lease), health)
    }

    @Test func `a file is at fault where others beside it can be read`() async throws {
        let (verdict, health) = try await verdict(.fileOrMount, Machine(canRead: true, isMissing: false))
        #expect(verdict == .file(reason: "It is so."))
        #expect(health.hiddenBatches.isEmpty && health.unwell == nil)
    }

    @Test func `the machine does not see a batch of which it can read nothing`() async throws {
        for machine in [Machine(), Machine(hasEntries: true, isMissing: false)] {
            let (verdict, health) = try await verdict(.fileOrMount, machine)
            #expect(verdict == .machine)
            #expect(health.hiddenBatches.count == 1 && health.mayClaim, "other batches go on")
            #expect(health.unwell?.contains("cannot see the folder of batch archive (home/archive)") == true)
        }
    }

    @Test(arguments: [1, 3])
    func `files that are gone from a folder that holds others were moved`(documents: Int) async throws {
        let (verdict, health) = try await verdict(
            .fileOrMount, Machine(hasEntries: true), documents: documents)
        #expect(verdict == .file(reason: "It is so.") && health.unwell == nil)
        let (empty, _) = try await self.verdict(.fileOrMount, Machine(), documents: documents)
        #expect(empty == .machine, "an empty folder may be a mount point")
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
