import Shared
import SystemPackage
import Testing

/// What decides texts is shared and compared; the program's version is only told.
@Suite struct EngineTests {
    typealias Fixture = QueueFixture

    private static func identity(
        version: String = QuireVersion.current, engine: String = QuireVersion.engine, precision: String = "bf16"
    ) -> WorkerIdentity {
        WorkerIdentity(
            name: "w", host: "here", bootID: "boot", pid: 7, processStartTicks: 5, device: "cpu", version: version,
            modelDigest: Fixture.model, roots: ["home"], engineVersion: engine, precision: precision)
    }

    // A8: half-done batches stopped at each upgrade.
    @Test func `an upgrade of the program goes on with old batches, another engine does not`() async throws {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        _ = try await fixture.queue.add([Fixture.document("archive/a.pdf", content: "a", pages: 20)], to: batch)
        let other = try await fixture.queue.register(Self.identity(engine: "9.0.0"))
        #expect(try await fixture.claim(other) == nil)
        let upgraded = try await fixture.queue.register(Self.identity(version: "9.9.9"))
        let lease = try #require(try await fixture.claim(upgraded))
        _ = try await fixture.queue.record(lease.pages.map { Fixture.done($0) }, lease: lease, worker: upgraded)
        let page = try #require(
            try await fixture.queue.pages(document: lease.documentID, from: 1, limit: 1).first)
        #expect(page.pipeline == Fixture.pipeline() && page.programVersion == QuireVersion.current)
        let required = try #require(try await fixture.queue.requirements().first)
        #expect(required.refusal(by: Self.identity(version: "9.9.9"), roots: ["home"]) == nil)
        #expect(required.refusal(by: Self.identity(engine: "9.0.0"), roots: ["home"])?.contains("engine") == true)
    }

    @Test func `pages read in one precision are not shared with another`() async throws {
        let fixture = try await Fixture()
        var exact = Fixture.pipeline()
        exact.precision = "f32"
        let batch = try await fixture.openBatch()
        let precise = try await fixture.queue.openBatch(
            name: "precise", source: Fixture.folder(), pipeline: exact, priority: 0
        ).batch
        #expect(precise.id != batch && precise.pipeline.precision == "f32")
        await #expect(throws: DatabaseError.self) {
            try await fixture.queue.openBatch(
                name: "precise", source: Fixture.folder(), pipeline: Fixture.pipeline(), priority: 0)
        }
        for batch in [batch, precise.id] {
            _ = try await fixture.queue.add([Fixture.document("archive/a.pdf", content: "a", pages: 3)], to: batch)
        }
        let rough = try await fixture.worker()
        try await fixture.finishAll(rough, text: "rough")
        #expect(try await fixture.status(batch).pages.done == 3)
        #expect(try await fixture.status(precise.id).pages.pending == 3)
        let identity = Self.identity(precision: "f32")
        let worker = try await fixture.queue.register(identity)
        try await fixture.finishAll(worker, text: "exact")
        #expect(try await fixture.status(precise.id).pages.done == 3)
        let documents = try await fixture.queue.documents(named: "archive/a.pdf", batch: precise.id)
        let pages = try await fixture.queue.pages(document: try #require(documents.first).id, from: 1, limit: 9)
        #expect(pages.map(\.text?.markdown) == ["exact", "exact", "exact"])
        #expect(Set(pages.map(\.pipeline.precision)) == ["f32"])
        let required = WorkRequirement(
            root: "home", modelDigest: Fixture.model, engineVersion: QuireVersion.engine, precision: "int8")
        #expect(required.refusal(by: identity, roots: ["home"])?.contains("--precision int8") == true)
    }
}
