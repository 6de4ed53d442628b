import Glibc
import Shared
import SystemPackage
import TestSupport
import Testing

@Suite struct SubmitAtScaleTests {
    /// So many that a submission stores them in several transactions, and there is a middle.
    private static let count = 2000

    /// A picture of 8 x 8 grey pixels; each number gives another content.
    private static func tiff(_ number: Int) -> [UInt8] {
        var bytes: [UInt8] = [0x49, 0x49, 42, 0, 8, 0, 0, 0]
        func little(_ value: Int, _ width: Int) -> [UInt8] { (0..<width).map { UInt8(value >> (8 * $0) & 0xFF) } }
        let entries = [
            (256, 8), (257, 8), (258, 8), (259, 1), (262, 1), (273, 8 + 2 + 9 * 12 + 4), (277, 1), (278, 8), (279, 64),
        ]
        bytes += little(entries.count, 2)
        for (tag, value) in entries { bytes += little(tag, 2) + little(4, 2) + little(1, 4) + little(value, 4) }
        bytes += little(0, 4)
        return bytes + (0..<64).map { UInt8(number >> (8 * ($0 % 3)) & 0xFF) }
    }

    private static func write(_ bytes: [UInt8], to path: FilePath) throws {
        let file = try FileDescriptor.open(
            path, .writeOnly, options: [.create, .truncate], permissions: [.ownerReadWrite, .groupRead, .otherRead])
        _ = try file.closeAfter { try file.writeAll(bytes) }
    }

    private static func makeFiles(_ work: Workspace) async throws {
        for folder in ["a", "b"] {
            _ = try await RunningProgram.run("mkdir", ["-p", work.archive.appending(folder).string])
        }
        for number in 0..<count {
            let folder = number % 2 == 0 ? "a" : "b"
            try write(tiff(number), to: work.archive.appending(folder).appending("\(number).tif"))
        }
    }

    @Test func `a submission killed in the middle goes on, and looks only into what was missing`() async throws {
        let work = try await Workspace()
        try await Self.makeFiles(work)
        // Files that take a minute each hold it up between the folders, so that it is surely killed in the middle.
        let slow = work.archive.appending("a-slow")
        let endless = Workspace.project.appending("Tests/RenderingTests/Fixtures/endless-time.pdf")
        let script = "mkdir \"$2\" && for i in $(seq 16); do cp \"$1\" \"$2/$i.pdf\"; done"
        _ = try await RunningProgram.run("sh", ["-c", script, "sh", endless.string, slow.string])
        let stored = "SELECT count(*) FROM quire.batch_file"
        let first = try work.start("quire", "submit", work.archive.string)
        // The schema is made by the command itself: until then there is no table to count.
        let began = try await work.wait { ((try? await work.number(stored)) ?? 0) > 0 }
        #expect(began, "\(first.output) \(first.errors)")
        first.send(signal: SIGKILL)
        _ = await first.outcome()
        let before = try await work.number(stored)
        #expect(before > 0 && before < Self.count, "killed in the middle")
        _ = try await RunningProgram.run("rm", ["-r", slow.string])

        let second = try await work.quire("submit", work.archive.string)
        #expect(second.status == 0, "\(second.output) \(second.errors)")
        #expect(second.output.contains("\(Self.count - before) documents new or changed"), "\(second.output)")
        #expect(second.output.contains("\(before) documents unchanged"), "\(second.output)")
        #expect(try await work.number(stored) == Self.count)
        let status = try #require(try await work.status())
        #expect(status.documents.total == Self.count && status.pages.total == Self.count)
        #expect(try await work.number("SELECT sum(n_pages) FROM quire.job") == Self.count)
        #expect(try await work.number("SELECT count(*) FROM quire.document") == Self.count)
    }

    @Test func `renamed files are recognised as those that the batch has`() async throws {
        let work = try await Workspace()
        _ = try await RunningProgram.run("mkdir", ["-p", work.archive.string])
        for number in 0..<3 { try Self.write(Self.tiff(number), to: work.archive.appending("\(number).tif")) }
        #expect(try await work.quire("submit", work.archive.string).status == 0)
        let jobs = try await work.number("SELECT max(id) FROM quire.job")
        for number in 0..<3 {
            let (old, new) = (work.archive.appending("\(number).tif"), work.archive.appending("renamed \(number).tif"))
            _ = try await RunningProgram.run("mv", [old.string, new.string])
        }
        let again = try await work.quire("submit", work.archive.string)
        #expect(again.status == 0, "\(again.output) \(again.errors)")
        #expect(again.output.contains("0 pages to recognise"), "\(again.output)")
        #expect(try await work.number("SELECT max(id) FROM quire.job") == jobs, "no job was made")
        #expect(try await work.number("SELECT count(*) FROM quire.document") == 3)
    }
}
