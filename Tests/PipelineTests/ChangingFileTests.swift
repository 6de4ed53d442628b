import Glibc
import Shared
import SystemPackage
import TestSupport
import Testing

/// Real workers and files that are renamed, changed and rewritten while their pages wait or are read.
@Suite struct ChangingFileTests {
    private func startWorker(_ work: Workspace) throws -> RunningProgram {
        try work.start("quire-worker", "--threads", "1", "--memory", "160M")
    }

    private func submit(_ work: Workspace, _ folder: FilePath) async throws {
        let submitted = try await work.quire("submit", folder.string)
        #expect(submitted.status == 0, "\(submitted.output) \(submitted.errors)")
        try await work.database.query("UPDATE quire.batch SET retry_seconds = 1")
    }

    private func areFinished(_ work: Workspace) async throws -> Bool {
        try await work.queue.status(batch: nil).allSatisfy(\.isFinished)
    }

    private func leave(_ worker: RunningProgram) async {
        worker.send(signal: SIGTERM)
        let outcome = await worker.outcome()
        #expect(outcome.status == 0, "\(outcome.errors)")
    }

    @Test func `a file that was changed costs nothing where another one has its content`() async throws {
        let work = try await Workspace()
        for name in ["one", "two"] {
            try await work.copySamples("letters/ferry.pdf", into: work.archive.appending(name))
            try await submit(work, work.archive.appending(name))
        }
        try await work.append("% edited", to: work.archive.appending("one/ferry.pdf"))
        let worker = try startWorker(work)
        let isFinished = try await work.wait { try await areFinished(work) }
        #expect(isFinished, "\(worker.errors)")
        #expect(try await work.number("SELECT count(*) FROM quire.page WHERE state = 'done' AND attempt = 1") == 4)
        for status in try await work.queue.status(batch: nil) { #expect(status.pages.done == 4) }
        await leave(worker)
    }

    // As where another version of the parser counted the pages of a damaged document.
    @Test(arguments: [3, 6])
    func `a document with another number of pages than was counted is read to its end, and no further`(
        counted: Int
    ) async throws {
        let work = try await Workspace()
        try await work.copySamples("letters/ferry.pdf", into: work.archive)
        try await submit(work, work.archive)
        let document = try await work.number("SELECT id FROM quire.document")
        #expect(try await work.queue.correctPageCount(document: Int64(document), count: counted))
        let worker = try startWorker(work)
        let isFinished = try await work.wait {
            guard try await work.number("SELECT count(*) FROM quire.page") == 4 else { return false }
            return try await areFinished(work)
        }
        #expect(isFinished, "\(worker.errors)")
        let status = try #require(try await work.queue.status(batch: nil).first)
        #expect(status.pages.total == 4 && status.pages.done == 4 && status.documents.complete == 1)
        #expect(try await QueueCheck(work.queue).faults() == [])
        await leave(worker)
    }

    @Test func `a file that was renamed is read by its new name`() async throws {
        let work = try await Workspace()
        try await work.copySamples("letters/ferry.pdf", into: work.archive)
        try await submit(work, work.archive)
        try await work.shell("mv \"$1/ferry.pdf\" \"$1/boat.pdf\"", work.archive.string)
        let worker = try startWorker(work)
        // The only file of its folder was renamed: the folder is there, the file is not.
        let isNoted = try await work.wait(seconds: 60) {
            try await work.number("SELECT count(*) FROM quire.batch_file WHERE fault LIKE '%No such file%'") == 1
        }
        #expect(isNoted, "\(worker.errors)")
        try await submit(work, work.archive)
        let isFinished = try await work.wait { try await areFinished(work) }
        #expect(isFinished, "\(worker.errors)")
        #expect(try await work.number("SELECT count(*) FROM quire.page WHERE state = 'done' AND attempt = 1") == 4)
        #expect(try await work.number("SELECT count(*) FROM quire.page WHERE state <> 'done'") == 0)
        await leave(worker)
    }

    /// A copy that was still running when its folder was submitted, and the right file afterwards.
    @Test func `a file that is right again is read, and an untouched copy elsewhere at once`() async throws {
        let work = try await Workspace()
        let (folder, other) = (work.archive.appending("in"), work.archive.appending("other"))
        try await work.copySamples("letters/ferry.pdf", into: folder)
        let kept = work.directory.path.appending("keep.pdf")
        try await work.shell("cp \"$1/ferry.pdf\" \"$2\"", folder.string, kept.string)
        try await submit(work, folder)
        try await work.append("junk", to: folder.appending("ferry.pdf"))
        let worker = try startWorker(work)
        let isNoted = try await work.wait(seconds: 60) {
            try await work.number("SELECT count(*) FROM quire.batch_file WHERE fault LIKE '%has changed%'") == 1
        }
        #expect(isNoted, "\(worker.errors)")
        #expect(try await work.number("SELECT count(*) FROM quire.page") == 0, "nothing is the content's fault")
        await leave(worker)
        try await work.shell("cp \"$2\" \"$1/ferry.pdf\"", folder.string, kept.string)
        let run = try await work.quire("run", folder.string, "--out", work.out.string)
        #expect(run.status == 0, "\(run.output) \(run.errors)")
        try await work.shell("mkdir \"$1\" && cp \"$2\" \"$1/b.pdf\"", other.string, kept.string)
        let second = try await work.quire(
            "run", other.string, "--out", work.directory.path.appending("out2").string)
        #expect(second.status == 0, "\(second.output) \(second.errors)")
        #expect(try await work.number("SELECT count(*) FROM quire.page WHERE state = 'done'") == 4)
    }

    @Test func `of a file that is rewritten in place while it is read, no page goes under the hash that it had`()
        async throws
    {
        let work = try await Workspace()
        try await work.shell("mkdir \"$1\"", work.archive.string)
        // Printed pages, and then blank ones of the same size: whose page is whose shows in its state.
        let file = work.archive.appending("book.tif")
        let old = Self.tiff(pages: 16) { _, y in y / 40 % 2 == 0 ? 20 : 235 }
        let new = Self.tiff(pages: 16) { _, _ in 255 }
        #expect(old.count == new.count)
        try Self.write(old, to: file, options: [.create, .truncate])
        try await submit(work, work.archive)
        let worker = try startWorker(work)
        let isBegun = try await work.wait {
            try await work.number("SELECT count(*) FROM quire.job WHERE state = 'leased'") > 0
        }
        #expect(isBegun, "\(worker.errors)")
        try await Task.sleep(for: .milliseconds(300))
        try Self.write(new, to: file, options: [])
        let isNoted = try await work.wait(seconds: 120) {
            try await work.number("SELECT count(*) FROM quire.batch_file WHERE fault LIKE '%changed%'") == 1
        }
        #expect(isNoted, "\(worker.errors)")
        #expect(try await work.number("SELECT count(*) FROM quire.page WHERE state = 'blank'") == 0)
        try await submit(work, work.archive)
        let isFinished = try await work.wait { try await areFinished(work) }
        #expect(isFinished, "\(worker.errors)")
        #expect(
            try await work.number(
                """
                SELECT count(*) FROM quire.page p JOIN quire.batch_file f ON f.document_id = p.document_id
                WHERE p.state = 'blank' AND f.gone_at IS NULL
                """) == 16)
        #expect(try await work.number("SELECT count(*) FROM quire.page WHERE state = 'blank'") == 16)
        await leave(worker)
    }

    private static func write(
        _ bytes: [UInt8], to file: FilePath, options: FileDescriptor.OpenOptions
    ) throws {
        let descriptor = try FileDescriptor.open(
            file, .writeOnly, options: options, permissions: [.ownerReadWrite, .groupRead, .otherRead])
        try descriptor.closeAfter { _ = try descriptor.writeAll(toAbsoluteOffset: 0, bytes) }
    }

    /// A TIFF file of uncompressed grey pages.
    private static func tiff(pages: Int, brightness: (_ x: Int, _ y: Int) -> UInt8) -> [UInt8] {
        let (width, height) = (600, 800)
        let page = (0..<height).flatMap { y in (0..<width).map { x in brightness(x, y) } }
        func little(_ value: Int, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(value >> (8 * $0) & 255) } }
        var bytes: [UInt8] = Array("II".utf8) + little(42, 2) + little(8, 4)
        for number in 0..<pages {
            let fields = [
                (256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, bytes.count + 2 + 9 * 12 + 4),
                (277, 1), (278, height), (279, page.count),
            ]
            bytes += little(fields.count, 2)
            for (tag, value) in fields { bytes += little(tag, 2) + little(4, 2) + little(1, 4) + little(value, 4) }
            let next = bytes.count + 4 + page.count
            bytes += little(number + 1 < pages ? next : 0, 4) + page
        }
        return bytes
    }
}
