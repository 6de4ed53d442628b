import Shared
import SystemPackage
import TestSupport
import Testing

/// Files that are renamed, removed, emptied or rewritten between two submissions of their folder.
@Suite struct GoneFileCommandTests {
    private func shell(_ work: Workspace, _ script: String) async throws {
        let outcome = try await RunningProgram.run(
            "sh", ["-ec", "cd \"$1\"; \(script)", "sh", work.directory.path.string])
        try #require(outcome.status == 0, "\(outcome.errors)")
    }

    private func submit(_ work: Workspace, _ arguments: String...) async throws -> ProgramOutcome {
        let outcome = try await RunningProgram.run(
            RunningProgram.product("quire"), ["submit"] + arguments, environment: work.environment, within: 600)
        return outcome
    }

    private func live(_ work: Workspace) async throws -> Int {
        try await work.number("SELECT count(*) FROM quire.batch_file WHERE gone_at IS NULL")
    }

    private func archive(_ files: Int) async throws -> Workspace {
        let work = try await Workspace()
        try await work.copySample("letters/bell.pdf", times: files)
        return work
    }

    @Test func `what is renamed is read under its new name, what is removed leaves, what is back comes back`()
        async throws
    {
        let work = try await archive(4)
        let folder = work.archive.string
        #expect(try await submit(work, folder).status == 0)
        let pages = try #require(try await work.status()).pages.total
        try await shell(work, "mv archive/1.pdf archive/renamed.pdf; mv archive/2.pdf away.pdf")

        let second = try await submit(work, folder)
        #expect(second.status == 0 && second.output.contains("2 files are gone"), "\(second.output)\(second.errors)")
        #expect(second.output.contains("    1.pdf\n") && second.output.contains("    2.pdf\n"), "\(second.output)")
        let status = try #require(try await work.status())
        #expect(status.documents.total == 3 && status.pages.total == pages / 4 * 3)
        #expect(try await QueueCheck(work.queue).faults() == [])
        #expect(try await work.quire("export", "archive", "--out", work.out.string).status == 0)
        let list = work.text(work.out.appending("batch.json"))
        #expect(list.split(separator: "\"gone\"").count > 2, "\(list)")
        #expect(work.exists(work.out.appending("renamed.pdf")) && !work.exists(work.out.appending("2.pdf")))
        let third = try await submit(work, folder)
        #expect(!third.output.contains("gone"), "\(third.output)")
        let renamed = try await work.queue.documents(matching: "renamed.pdf", batch: status.id)
        #expect(renamed.count == 1)
        #expect(try await work.queue.documents(matching: "1.pdf", batch: status.id).isEmpty)

        try await shell(work, "mv away.pdf archive/2.pdf")
        let back = try await submit(work, folder)
        #expect(back.output.contains("1 document new or changed"), "\(back.output)")
        #expect(try await work.status()?.documents.total == 4)
        #expect(try await QueueCheck(work.queue).faults() == [])
    }

    @Test func `a folder that is empty or missing forgets nothing unless it is told to`() async throws {
        let work = try await archive(3)
        let folder = work.archive.string
        try await shell(work, "mkdir archive/sub; mv archive/3.pdf archive/sub")
        #expect(try await submit(work, folder).status == 0)

        // As after a restart without the share in a folder below, and then without the whole.
        try await shell(work, "mv archive/sub away; mkdir archive/sub; rm archive/2.pdf")
        let partly = try await submit(work, folder)
        #expect(partly.output.contains("1 file is gone"), "\(partly.output)")
        #expect(partly.output.contains("1 file of the batch cannot be found"), "\(partly.output)")
        #expect(partly.output.contains("archive/sub is missing or empty"), "\(partly.output)")
        #expect(partly.output.contains("--forget-missing"))
        try await shell(work, "mv archive mounted; mkdir archive")
        let empty = try await submit(work, folder)
        #expect(empty.output.contains("2 files of the batch cannot be found"), "\(empty.output)")
        #expect(try await live(work) == 2)
        #expect(try await work.status()?.documents.total == 2)
        try await shell(work, "rmdir archive")
        let missing = try await submit(work, folder)
        #expect(missing.status == 2 && missing.errors.contains("--forget-missing"), "\(missing.errors)")
        #expect(try await live(work) == 2)

        try await shell(work, "mv mounted archive; rmdir archive/sub; mv away archive/sub")
        let again = try await submit(work, folder)
        #expect(!again.output.contains("gone") && !again.output.contains("cannot be found"), "\(again.output)")

        try await shell(work, "rm -r archive")
        let other = try await submit(work, folder, "--forget-missing", "--mode", "large")
        #expect(other.status == 2 && other.errors.contains("nothing to forget"), "\(other.errors)")
        let forgotten = try await submit(work, folder, "--forget-missing")
        #expect(forgotten.status == 0, "\(forgotten.errors)")
        #expect(forgotten.output.contains("2 files are gone"), "\(forgotten.output)")
        #expect(try await work.number("SELECT count(*) FROM quire.batch") == 1)
        #expect(try await live(work) == 0)
        #expect(try await work.status()?.pages.total == 0)
        #expect(try await QueueCheck(work.queue).faults() == [])
    }

    @Test func `a submission of some folders concerns only what lies below them`() async throws {
        let work = try await archive(4)
        try await shell(work, "cd archive; mkdir a b c; mv 1.pdf 2.pdf a; mv 3.pdf b; mv 4.pdf c; touch c/note.txt")
        #expect(try await submit(work, work.archive.string).status == 0)
        try await shell(work, "rm archive/a/1.pdf archive/c/4.pdf")
        let outcome = try await submit(work, work.archive.appending("a").string, work.archive.appending("b").string)
        #expect(outcome.output.contains("1 file is gone"), "\(outcome.output)")
        #expect(outcome.output.contains("    a/1.pdf\n"), "\(outcome.output)")
        #expect(try await live(work) == 4)
        let whole = try await submit(work, work.archive.string)
        #expect(whole.output.contains("    c/4.pdf\n"), "\(whole.output)")
        #expect(try await live(work) == 3)
    }

    @Test func `a file that was rewritten with the same size and time is read again`() async throws {
        let work = try await archive(2)
        let folder = work.archive.string
        // Times that are younger than they can be are not trusted either: the files are read once more.
        try await shell(work, "touch -d '30 minutes' archive/*.pdf")
        #expect(try await submit(work, folder).status == 0)
        let dated = "SELECT count(*) FROM quire.batch_file WHERE changed_ns IS NOT NULL"
        #expect(try await work.number(dated) == 0)
        try await shell(work, "touch -d '1 hour ago' archive/*.pdf")
        try await Task.sleep(for: .seconds(2.2))
        #expect(try await submit(work, folder).output.contains("2 documents unchanged"))
        #expect(try await work.number(dated) == 2)
        try await shell(
            work,
            "touch -r archive/1.pdf t; sed -i 's/% copy 1/% copy 7/' archive/1.pdf; touch -r t archive/1.pdf"
        )
        let changed = try await submit(work, folder)
        #expect(changed.output.contains("1 changed"), "\(changed.output)")

        // Rows of before are told by size and time, and dated without being read.
        try await work.database.query("UPDATE quire.batch_file SET changed_ns = NULL, has_changed_ns = false")
        #expect(try await submit(work, folder).output.contains("2 documents unchanged"))
        #expect(try await work.number(dated) == 2)
        #expect(try await work.number("SELECT count(*) FROM quire.batch_file WHERE has_changed_ns") == 2)
    }

    @Test func `a page count that was wrong is corrected when the file is looked into again`() async throws {
        let work = try await archive(1)
        #expect(try await submit(work, work.archive.string).status == 0)
        let document = Int64(try await work.number("SELECT id FROM quire.document"))
        let count = try await work.number("SELECT page_count::bigint FROM quire.document")
        for wrong in [count + 20, 1] where wrong != count {
            #expect(try await work.queue.correctPageCount(document: document, count: wrong))
            #expect(try await submit(work, work.archive.string, "--rescan").status == 0)
            #expect(try await work.number("SELECT page_count::bigint FROM quire.document") == count)
            #expect(try await work.status()?.pages.total == count)
            #expect(try await QueueCheck(work.queue).faults() == [])
        }
    }

    @Test func `the doctor finds pages that nobody would read, and mends them`() async throws {
        let work = try await archive(3)
        #expect(try await submit(work, work.archive.string).status == 0)
        try await work.database.query("DELETE FROM quire.job WHERE document_id = (SELECT min(id) FROM quire.document)")
        let ill = try await work.quire("doctor")
        #expect(ill.status == 1 && ill.output.contains("neither a result nor a job"), "\(ill.output)")
        #expect(ill.output.contains("quire doctor --repair"), "\(ill.output)")
        let mended = try await work.quire("doctor", "--repair")
        #expect(mended.output.contains("mended: Batch archive:"), "\(mended.output)")
        #expect(mended.output.contains("nothing is wrong any more"), "\(mended.output)")
        let well = try await work.quire("doctor")
        #expect(well.output.contains("ok     queue"), "\(well.output)")
        #expect(!well.output.contains("wrong  queue"), "\(well.output)")
    }
}
