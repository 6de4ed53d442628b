import Glibc
import Shared
import SystemPackage
import TestSupport

/// A folder to work in, a database of its own, and the programs of this build.
final class Workspace: Sendable {
    let directory: TemporaryDirectory
    let databaseURL: String
    let database: Database
    let queue: PageQueue

    /// The project's own folder.
    static let project = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
    static let samples = project.appending("samples/archive")
    static let nano = project.appending("models/quire-nano")
    static let tiny = project.appending("Tests/InferenceTests/Fixtures/golden/tiny-bf16")

    init() async throws {
        directory = try TemporaryDirectory(prefix: "quire-pipeline")
        databaseURL = try await TestPostgres.shared.makeDatabase()
        database = Database(connectionString: databaseURL)
        queue = PageQueue(database: database)
    }

    var out: FilePath { directory.path.appending("out") }
    var archive: FilePath { directory.path.appending("archive") }

    /// What the programs are told, so that nothing of the machine's own settings is used.
    var environment: [String: String?] {
        [
            "DATABASE_URL": databaseURL, "QUIRE_CONFIG": nil, "QUIRE_MODEL": Self.nano.string, "QUIRE_ROOTS": nil,
            "QUIRE_DATA": directory.path.appending("data").string, "HOME": directory.path.string,
            "XDG_CACHE_HOME": directory.path.appending("cache").string, "QUIRE_THREADS": nil, "QUIRE_WORKERS": nil,
            "QUIRE_PRECISION": nil, "QUIRE_MEMORY": nil,
        ]
    }

    /// Copies files or folders of the samples into the archive folder.
    func copySamples(_ names: String...) async throws {
        for name in names {
            let target = archive.appending(name)
            _ = try await RunningProgram.run("mkdir", ["-p", target.removingLastComponent().string])
            _ = try await RunningProgram.run("cp", ["-r", Self.samples.appending(name).string, target.string])
        }
    }

    /// Copies a file of the samples into a folder, which is made.
    func copySamples(_ name: String, into folder: FilePath) async throws {
        try await shell("mkdir -p \"$2\" && cp \"$1\" \"$2\"", Self.samples.appending(name).string, folder.string)
    }

    /// Adds a line to a file.
    func append(_ line: String, to file: FilePath) async throws {
        try await shell("echo \"$1\" >> \"$2\"", line, file.string)
    }

    /// Runs a shell script with arguments; it has to succeed.
    func shell(_ script: String, _ arguments: String...) async throws {
        let outcome = try await RunningProgram.run("sh", ["-c", script, "sh"] + arguments)
        guard outcome.isSuccess else { throw ShellFailure(description: "\(script): \(outcome.errors)") }
    }

    private struct ShellFailure: Error, CustomStringConvertible {
        let description: String
    }

    /// Copies a PDF of the samples several times, each time with another comment at its end: as many documents.
    func copySample(_ name: String, times: Int) async throws {
        let script = """
            mkdir -p "$2" && for i in $(seq "$3"); do cp "$1" "$2/$i.pdf" && echo "% copy $i" >> "$2/$i.pdf"; done
            """
        _ = try await RunningProgram.run(
            "sh", ["-c", script, "sh", Self.samples.appending(name).string, archive.string, "\(times)"])
    }

    /// Tokens of the leases that are held now.
    func heldTokens() async throws -> Set<Int64> {
        var tokens: Set<Int64> = []
        for var row in try await database.query("SELECT token FROM quire.job WHERE state = 'leased'") {
            tokens.insert(try row.int64())
        }
        return tokens
    }

    /// The one number that a statement gives.
    func number(_ sql: String, _ parameters: [SQLValue] = []) async throws -> Int {
        var rows = try await database.query(sql, parameters)
        return rows.isEmpty ? -1 : try rows[0].int()
    }

    /// Starts `quire` or another program of the package.
    func start(_ program: String, _ arguments: String...) throws -> RunningProgram {
        try RunningProgram(RunningProgram.product(program), arguments, environment: environment)
    }

    /// Runs `quire` to its end.
    func quire(_ arguments: String...) async throws -> ProgramOutcome {
        try await RunningProgram.run(
            RunningProgram.product("quire"), arguments, environment: environment, within: 600)
    }

    /// The only batch, with its progress.
    func status() async throws -> BatchStatus? { try await queue.status(batch: nil).first }

    /// Every settled page of a batch, by document and number.
    func pages(batch: Int64) async throws -> [PageKey: ExportPage] {
        var all: [PageKey: ExportPage] = [:]
        for file in try await queue.files(batch: batch) {
            guard case .document(let id, _, _, let count) = file.content else { continue }
            for page in try await queue.pages(document: id, from: 1, limit: count) {
                all[PageKey(document: id, page: page.page)] = page
            }
        }
        return all
    }

    struct PageKey: Hashable {
        let document: Int64
        let page: Int
    }

    /// Waits until `condition` holds; false when it does not within `seconds`.
    func wait(seconds: Int = 300, until condition: () async throws -> Bool) async throws -> Bool {
        for _ in 0..<seconds * 10 {
            if try await condition() { return true }
            try await Task.sleep(for: .milliseconds(100))
        }
        return false
    }

    /// The text of a file; empty when there is none.
    func text(_ path: FilePath) -> String {
        guard let file = try? FileDescriptor.open(path, .readOnly) else { return "" }
        defer { try? file.close() }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while let count = try? buffer.withUnsafeMutableBytes({ try file.read(into: $0) }), count > 0 {
            bytes += buffer.prefix(count)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    func exists(_ path: FilePath) -> Bool { path.withPlatformString { access($0, F_OK) } == 0 }
}
