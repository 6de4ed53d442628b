import Digest
import Glibc
import Shared
import SystemPackage
import TestSupport

/// A PostgreSQL of its own that can be stopped and started, with a batch of made-up documents, and workers that make up
/// their pages' texts.
final class StoppableServer: Sendable {
    let connection: String
    let database: Database
    let queue: PageQueue
    let batch: Int64
    private let directory: TemporaryDirectory
    private let options: EmbeddedPostgres.Options

    static let model = String(repeating: "5a", count: 32)

    /// `pages` says how many each document has.
    init(pages: [Int]) async throws {
        directory = try TemporaryDirectory(prefix: "quire-outage", isWatched: true)
        var options = EmbeddedPostgres.Options()
        options.isDurable = false
        self.options = options
        let cluster = try await EmbeddedPostgres.acquire(directory: directory.path, options: options)
        // It is stopped by its process number and not by its last user.
        _ = Unmanaged.passRetained(cluster)
        connection = cluster.connectionString
        database = Database(connectionString: connection)
        _ = try await Migrator(database: database).migrate()
        queue = PageQueue(database: database)
        batch = try await queue.openBatch(
            name: "week", source: SourceLocation(root: "soak", path: "archive"),
            pipeline: Pipeline(modelDigest: Self.model, mode: "base", prompt: "<image>\nFree OCR.", maxNewTokens: 512),
            priority: 0
        ).batch.id
        let files = pages.enumerated().map { index, count in
            ScannedFile(
                location: SourceLocation(root: "soak", path: FilePath("archive/\(index).pdf")),
                stamp: FileStamp(size: 1, modifiedNanoseconds: 1),
                finding: .document(
                    sha256: SHA256.hash(Array("document \(index)".utf8)), format: .pdf, pageCount: count))
        }
        _ = try await queue.add(files, to: batch)
    }

    /// Stops the server, and starts it again after so many seconds.
    func restart(after seconds: Double) async throws {
        try await stop()
        try await Task.sleep(for: .seconds(seconds))
        let cluster = try await EmbeddedPostgres.acquire(directory: directory.path, options: options)
        _ = Unmanaged.passRetained(cluster)
    }

    /// Stops the server as an administrator does.
    func stop() async throws {
        let file = directory.text(of: directory.path.appending("cluster/data/postmaster.pid"))
        let pid = try Int32(file.prefix { $0 != "\n" }).orThrow("no postmaster.pid: \(file)")
        kill(pid, SIGINT)
        while kill(pid, 0) == 0 { try await Task.sleep(for: .milliseconds(50)) }
    }

    func startWorker(_ more: String...) throws -> RunningProgram {
        try RunningProgram(
            RunningProgram.product("quire-fake-worker"),
            [
                "--database", connection, "--model", Self.model, "--page-ms", "20", "--places", "4",
                "--patience-seconds", "1", "--silence-seconds", "60", "--heartbeat-seconds", "0.5",
            ] + more)
    }

    func number(_ sql: String) async throws -> Int {
        var rows = try await database.query(sql)
        return rows.isEmpty ? -1 : try rows[0].int()
    }

    func isFinished() async throws -> Bool { try await queue.status(batch: batch)[0].isFinished }

    /// Waits until `condition` holds; false when it does not within `seconds`.
    func wait(seconds: Int = 120, until condition: () async throws -> Bool) async throws -> Bool {
        for _ in 0..<seconds * 10 {
            if try await condition() { return true }
            try await Task.sleep(for: .milliseconds(100))
        }
        return false
    }
}

extension Optional {
    /// What is there, or a sentence as an error.
    func orThrow(_ sentence: String) throws -> Wrapped {
        guard let self else { throw MissingValue(description: sentence) }
        return self
    }
}

private struct MissingValue: Error, CustomStringConvertible {
    let description: String
}
