import Shared
import SystemPackage
import Testing

/// Upkeep goes in small transactions, and what is wrong with one batch holds up no other.
@Suite struct UpkeepPartsTests {
    typealias Fixture = QueueFixture

    // A13: at about a million unfolded changes upkeep never completed.
    @Test func `a million changes are folded, twenty thousand in a transaction`() async throws {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        try await fixture.database.query(
            """
            INSERT INTO quire.document (sha256, pipeline_id, format, page_count)
            SELECT sha256(int8send(n)), b.pipeline_id, 'pdf', 1000 FROM quire.batch b, generate_series(1, 1000) n
            """)
        try await fixture.database.query(
            "INSERT INTO quire.batch_document (batch_id, document_id, page_count) SELECT $1, id, 1000 FROM quire.document",
            [.int(batch)])
        try await fixture.database.query(
            "UPDATE quire.tally SET documents = 1000, pages = 1000000 WHERE batch_id = $1", [.int(batch)])
        try await fixture.database.query(
            """
            INSERT INTO quire.tally_delta (batch_id, document_id, done)
            SELECT $1, d.id, 1 FROM generate_series(1, 1000) n, quire.document d
            """, [.int(batch)])
        // Everything else is kept meanwhile.
        let worker = try await fixture.worker("dead", pid: 3)
        try await fixture.database.query("UPDATE quire.worker SET seen_at = now() - interval '1 h'")
        var left: Int64 = 1_000_000
        while left > 0 {
            try await fixture.queue.maintain()
            let now = try await fixture.number("SELECT count(*) FROM quire.tally_delta")
            #expect(now < left && (left - now) % Int64(PageQueue.foldedAtOnce) == 0)
            #expect(
                try await fixture.number("SELECT count(*) FROM quire.worker WHERE id = \(worker) AND ended_at IS NULL")
                    == 0)
            left = now
        }
        let status = try await fixture.status(batch)
        #expect(status.pages.done == 1_000_000 && status.documents.complete == 1000)
        #expect(try await fixture.number("SELECT min(done) FROM quire.batch_document") == 1000)
    }

    @Test func `a batch whose counts cannot be right is named and left alone, and others go on`() async throws {
        let fixture = try await Fixture()
        let (bad, good) = (try await fixture.openBatch("bad", folder: "bad"), try await fixture.openBatch())
        for (batch, path) in [(bad, FilePath("bad/a")), (good, "archive/b")] {
            _ = try await fixture.queue.add(
                [Fixture.document(path, content: path.string, pages: 3)], to: batch)
        }
        try await fixture.queue.maintain()
        let document = try await fixture.number(
            "SELECT document_id FROM quire.batch_document WHERE batch_id = $1", [.int(bad)])
        try await fixture.database.query(
            "INSERT INTO quire.tally_delta (batch_id, document_id, done) VALUES ($1, $2, -1)",
            [.int(bad), .int(document)])
        let worker = try await fixture.worker()
        try await fixture.finishAll(worker)
        try await fixture.database.query(
            """
            INSERT INTO quire.job (batch_id, document_id, state, first_page, n_pages, due)
            VALUES ($1, $2, 'waiting', 1, 1, now() - interval '1 s')
            """, [.int(bad), .int(document)])
        // The delta of -1 and the results of three pages together are no fault yet.
        try await fixture.database.query(
            "INSERT INTO quire.tally_delta (batch_id, document_id, done) VALUES ($1, $2, -9)",
            [.int(bad), .int(document)])
        try await fixture.queue.maintain()
        #expect(try await fixture.status(bad).countsProblem?.contains("batch_document_check") == true)
        let status = try await fixture.status(good)
        #expect(status.countsProblem == nil && status.pages.done == 3 && status.documents.complete == 1)
        #expect(
            try await fixture.number("SELECT count(*) FROM quire.tally_delta WHERE batch_id <> $1", [.int(bad)]) == 0)
        #expect(try await fixture.number("SELECT count(*) FROM quire.job WHERE state = 'waiting'") == 0)
        // It stays so, until somebody mends it.
        try await fixture.queue.maintain()
        #expect(try await fixture.number("SELECT count(*) FROM quire.tally_delta") > 0)
        try await fixture.database.query("DELETE FROM quire.tally_delta WHERE done < 0")
        try await fixture.database.query("UPDATE quire.tally SET fold_error = NULL")
        try await fixture.queue.maintain()
        #expect(try await fixture.number("SELECT count(*) FROM quire.tally_delta") == 0)
        #expect(try await fixture.status(bad).pages.done == 3)
    }

    @Test func `changes that are taken back later than a part ends are no fault`() async throws {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        _ = try await fixture.queue.add([Fixture.document("archive/a", content: "a", pages: 3)], to: batch)
        try await fixture.queue.maintain()
        let document = try await fixture.number("SELECT document_id FROM quire.batch_document")
        try await fixture.database.query(
            """
            INSERT INTO quire.tally_delta (batch_id, document_id, at, done)
            SELECT $1, $2, now() + n * interval '1 s', CASE WHEN n <= 2 THEN -1 ELSE 1 END FROM generate_series(1, 5) n
            """, [.int(batch), .int(document)])
        try await fixture.database.query("SELECT quire.fold_tallies(NULL, 2)")
        #expect(try await fixture.number("SELECT count(*) FROM quire.tally_delta") == 0)
        #expect(try await fixture.status(batch).pages.done == 1)
        #expect(try await fixture.status(batch).countsProblem == nil)
    }
}
