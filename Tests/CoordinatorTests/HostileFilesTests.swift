import Coordinator
import Glibc
import Rendering
import Shared
import SystemPackage
import TestSupport
import Testing

@Suite struct HostileFilesTests {
    private static let good = ["grey8.tiff", "pages5.tiff", "rgb8.png", "rgb444.jpg", "grey1.png", "g4.tiff"]

    private static func names(in folder: FilePath) -> [String] {
        guard let stream = folder.withPlatformString({ opendir($0) }) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            names.append(
                withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                })
        }
        return names
    }

    /// Other processes that have a file open.
    private static func processes(with file: FilePath) -> [pid_t] {
        var found: [pid_t] = []
        for process in names(in: "/proc") {
            guard let pid = pid_t(process), pid != getpid() else { continue }
            let folder = FilePath("/proc/\(pid)/fd")
            for descriptor in names(in: folder) {
                var target = [CChar](repeating: 0, count: 4096)
                let link = folder.appending(descriptor)
                if link.withPlatformString({ readlink($0, &target, target.count - 1) }) > 0,
                    FilePath(platformString: target) == file
                {
                    found.append(pid)
                }
            }
        }
        return found
    }

    @Test func `files that hang, crash or take all memory are named with the reason, and all others are registered`()
        async throws
    {
        let scratch = try TemporaryDirectory(prefix: "quire-hostile")
        try scratch.makeFolder("archive")
        try scratch.makeFolder("slow")
        let goodCount = 240
        for number in 0..<goodCount {
            let name = Self.good[number % Self.good.count]
            // Each another content; what follows the end of an image is not looked at.
            let suffix = (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
            let folder = number % 4 == 0 ? "slow" : "archive"
            try scratch.makeFile("\(folder)/\(number)-\(name)", try ImageFixture.bytes(name) + suffix)
        }
        let endless = try ImageFixture.bytes("endless-time.pdf")
        try scratch.makeFile("slow/100-hangs.pdf", endless)
        try scratch.makeFile("archive/120-crashes.pdf", endless + Array("\n".utf8))
        try scratch.makeFile("archive/140-swells.pdf", try ImageFixture.bytes("endless-memory.pdf"))
        try scratch.makeFile("archive/160-damaged.pdf", Array("%PDF-1.4\nnothing".utf8))
        let crashing = scratch.path.appending("archive/120-crashes.pdf")

        let database = Database(connectionString: try await TestPostgres.shared.makeDatabase())
        let queue = PageQueue(database: database)
        let batch = try await queue.openBatch(
            name: "archive", source: SourceLocation(root: "local", path: "archive"),
            pipeline: Pipeline(
                modelDigest: ExportFixture.model, mode: "tiny", prompt: "<image>\nFree OCR.", maxNewTokens: 512),
            priority: 0
        ).batch
        func submission(secondsPerPage: Double) throws -> Submission {
            let renderer = try PageRenderer.besideThisProgram(
                limits: RenderLimits(memoryBytes: 128 << 20, secondsPerPage: secondsPerPage))
            return Submission(
                queue: queue, batch: batch, root: scratch.path, source: DocumentSource(renderer: renderer))
        }

        // No file that makes this version of the parsers crash is known: the signal comes from here, and each time.
        let crasher = Task {
            while !Task.isCancelled {
                for pid in Self.processes(with: crashing) { kill(pid, SIGSEGV) }
                try await Task.sleep(for: .milliseconds(10))
            }
        }
        // Time enough to swell on a slow machine, and little for what never ends.
        let report = try await submission(secondsPerPage: 90).add([scratch.path.appending("archive")]) { _ in }
        crasher.cancel()
        let slow = try await submission(secondsPerPage: 4).add([scratch.path.appending("slow")]) { _ in }

        let reasons = Dictionary(
            (report.unreadable + slow.unreadable).map { ($0.path.lastComponent?.string ?? "", $0.reason) },
            uniquingKeysWith: { $1 })
        #expect(reasons.count == 4 && report.unreadableCount + slow.unreadableCount == 4, "\(reasons)")
        #expect(reasons["100-hangs.pdf"]?.contains("4 seconds") == true, "\(reasons)")
        #expect(reasons["120-crashes.pdf"]?.contains("crashed") == true, "\(reasons)")
        #expect(reasons["140-swells.pdf"]?.contains("more memory than the limit of 128 MiB") == true, "\(reasons)")
        #expect(reasons["160-damaged.pdf"]?.contains("cut off or damaged") == true, "\(reasons)")
        let status = try #require(try await queue.status(batch: batch.id).first)
        #expect(status.documents.total == goodCount && status.documents.unreadable == 4)
        #expect(status.pages.total == goodCount + 4 * goodCount / Self.good.count, "pages5.tiff has four more")
        await database.close()
    }
}
