import Shared
import SystemPackage
import TestSupport
import Testing

/// Which folders an export goes into, and which it leaves alone.
@Suite struct ExportFolderTests {
    @Test func `A second batch does not take the folder of the first one`() async throws {
        let work = try await Workspace()
        try await work.copySamples("scans/notice.png", "letters/bell.pdf")
        // Both lie in one folder, which is then the source of both batches.
        try await work.shell("mv \"$1\"/*/* \"$1\"", work.archive.string)
        for (file, name) in [("notice.png", "n1"), ("bell.pdf", "n2")] {
            let outcome = try await work.quire("submit", work.archive.appending(file).string, "--name", name)
            #expect(outcome.status == 0, "\(outcome.errors)")
        }
        #expect(try await work.quire("export", "n1", "--out", work.out.string).status == 0)
        let list = work.text(work.out.appending("batch.json"))
        #expect(work.exists(work.out.appending("notice.png/document.md")))

        let second = try await work.quire("export", "n2", "--out", work.out.string)
        #expect(second.status == 8)
        #expect(second.errors.contains("it holds the export of the batch n1"), "\(second.errors)")
        #expect(work.text(work.out.appending("batch.json")) == list)
        #expect(work.exists(work.out.appending("notice.png/document.md")))
        #expect(!work.exists(work.out.appending("bell.pdf")))
        // Before anything is recognised, too.
        let run = try await work.quire(
            "run", work.archive.appending("bell.pdf").string, "--name", "n2", "--out", work.out.string)
        #expect(run.status == 8 && run.errors.contains("batch n1"), "\(run.errors)")
        #expect(try await work.number("SELECT count(*) FROM quire.page") == 0)

        // Files that were named singly may have the export beside them.
        let beside = work.archive.appending("text")
        #expect(try await work.quire("export", "n2", "--out", beside.string).status == 0)

        // After a prune the batch of that name goes on with its export.
        #expect(try await work.quire("cancel", "n1").status == 0)
        #expect(try await work.quire("prune", "--batch", "n1", "--results", "--yes").status == 0)
        #expect(try await work.quire("submit", work.archive.appending("notice.png").string, "--name", "n1").status == 0)
        let again = try await work.quire("export", "n1", "--out", work.out.string)
        #expect(again.status == 0, "\(again.errors)")
        #expect(work.exists(work.out.appending("notice.png/document.md")))

        // The same document by another pipeline and name is another batch, and takes the place where it is told to.
        let notice = work.archive.appending("notice.png").string
        #expect(try await work.quire("submit", notice, "--name", "n3", "--max-tokens", "7").status == 0)
        #expect(try await work.quire("export", "n3", "--out", work.out.string).status == 8)
        try await work.shell("rm \"$1\"/batch.json \"$1\"/.quire-export", work.out.string)
        let other = try await work.quire("export", "n3", "--out", work.out.string)
        #expect(other.status == 0, "\(other.output) \(other.errors)")
        #expect(work.text(work.out.appending("batch.json")).contains("\"n3\""))
    }

    @Test func `Of batches that nobody named, the one by another pipeline goes on with the export`() async throws {
        let work = try await Workspace()
        try await work.copySamples("scans/notice.png")
        for _ in 1...2 {
            #expect(try await work.quire("submit", work.archive.string).status == 0)
            #expect(try await work.quire("export", "archive", "--out", work.out.string).status == 0)
        }
        #expect(try await work.quire("submit", work.archive.string, "--max-tokens", "9").status == 0)
        let next = try await work.quire("export", "archive-2", "--out", work.out.string)
        #expect(next.status == 0, "\(next.output) \(next.errors)")
        #expect(work.text(work.out.appending("batch.json")).contains("\"archive-2\""))
        #expect(
            try await work.quire("submit", work.archive.string, "--max-tokens", "8", "--name", "mine").status == 0)
        #expect(try await work.quire("export", "mine", "--out", work.out.string).status == 8)
    }

    @Test func `A list that no export wrote is left alone`() async throws {
        let work = try await Workspace()
        try await work.copySamples("letters/bell.pdf")
        #expect(try await work.quire("submit", work.archive.string, "--name", "letters").status == 0)
        let list = work.out.appending("batch.json")
        for text in ["{\"mine\":\"precious\"}", "", "{\"schema\": \"mine\", \"batch\": \"letters\"}", "[1, 2]"] {
            try await work.shell("mkdir -p \"$1\" && printf %s \"$3\" > \"$2\"", work.out.string, list.string, text)
            for arguments in [["export", "letters"], ["run", work.archive.string, "--name", "letters"]] {
                let outcome = try await RunningProgram.run(
                    RunningProgram.product("quire"), arguments + ["--out", work.out.string],
                    environment: work.environment)
                #expect(outcome.status == 8)
                #expect(outcome.errors.contains("no export wrote the batch.json in it"), "\(outcome.errors)")
            }
            #expect(work.text(list) == text)
            try await work.shell("test \"$(ls -A \"$1\")\" = batch.json", work.out.string)
        }
        #expect(try await work.number("SELECT count(*) FROM quire.page") == 0, "nothing was recognised for nothing")

        // A list of an export that was torn is no obstacle.
        try await work.shell("rm \"$1\"", list.string)
        #expect(try await work.quire("export", "letters", "--out", work.out.string).status == 0)
        let whole = work.text(list)
        for text in ["", "{\"schema\": \"quire-ba"] {
            try await work.shell("printf %s \"$2\" > \"$1\"", list.string, text)
            #expect(try await work.quire("export", "letters", "--out", work.out.string).status == 0)
            #expect(work.text(list) == whole)
        }
    }

    @Test func `An export into the submitted folder is refused`() async throws {
        let work = try await Workspace()
        try await work.copySamples("letters/bell.pdf", "letters/bell.pdf.truth.md", "scans/notice.png")
        let letters = work.archive.appending("letters")
        #expect(try await work.quire("submit", letters.string, "--name", "letters").status == 0)
        #expect(try await work.quire("submit", work.archive.string, "--name", "all").status == 0)
        try await work.shell("ln -s \"$1\" \"$2\"", letters.string, work.directory.path.appending("link").string)
        for (batch, out) in [
            ("letters", letters.appending("out")), ("letters", letters),
            ("letters", work.directory.path.appending("link/deep/out")), ("all", work.archive.appending("scans/out")),
        ] {
            let outcome = try await work.quire("export", batch, "--out", out.string)
            #expect(outcome.status == 2)
            #expect(outcome.errors.contains("which lies in the submitted folder"), "\(outcome.errors)")
        }
        try await work.shell("test -z \"$(find \"$1\" -name 'batch.json' -o -name out)\"", work.archive.string)
        #expect(try await work.quire("export", "letters", "--out", work.archive.appending("out").string).status == 0)
    }
}
