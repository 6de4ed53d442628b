import FoundationEssentials
import Shared
import SystemPackage
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite struct EmbeddedPostgresTests {
    private static var fast: EmbeddedPostgres.Options {
        var options = EmbeddedPostgres.Options()
        options.isDurable = false
        return options
    }

    private func acquire(_ directory: FilePath) async throws -> EmbeddedPostgres {
        try await EmbeddedPostgres.acquire(directory: directory, options: Self.fast)
    }

    /// A dead process that nobody has waited for has no program any more.
    private func isRunning(_ pid: Int32) -> Bool {
        var buffer = [CChar](repeating: 0, count: 4096)
        return readlink("/proc/\(pid)/exe", &buffer, buffer.count) > 0
    }

    @Test func `many users start one server, and the last one stops it`() async throws {
        let home = try TemporaryDirectory(isWatched: true)
        let users = try await withThrowingTaskGroup(of: EmbeddedPostgres.self) { group in
            for _ in 0..<4 { group.addTask { try await acquire(home.path) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let pid = users[0].serverPID
        #expect(Set(users.map(\.serverPID)) == [pid])
        let database = Database(connectionString: users[0].connectionString)
        try await database.query("CREATE TABLE kept (n integer)")
        try await database.query("INSERT INTO kept VALUES (7)")
        await database.close()
        for user in users.dropFirst() { await user.release() }
        #expect(isRunning(pid))
        // A user that was killed holds no lock; the next one finds the server running.
        let next = try await acquire(home.path)
        #expect(next.serverPID == pid)
        await users[0].release()
        #expect(isRunning(pid))
        await next.release()
        #expect(!isRunning(pid))

        let again = try await acquire(home.path)
        let reopened = Database(connectionString: again.connectionString)
        var rows = try await reopened.query("SELECT n FROM kept")
        #expect(try rows[0].int() == 7)
        await reopened.close()
        await again.release()
    }

    @Test func `a server left behind by a user that died is taken over`() async throws {
        let home = try TemporaryDirectory(isWatched: true)
        var dead: EmbeddedPostgres? = try await acquire(home.path)
        let pid = try #require(dead?.serverPID)
        dead = nil
        #expect(isRunning(pid))
        let next = try await acquire(home.path)
        #expect(next.serverPID == pid)
        await next.release()
        #expect(!isRunning(pid))
    }

    @Test func `a killed server starts again, even where its number belongs to another process now`() async throws {
        let home = try TemporaryDirectory(isWatched: true)
        let first = try await acquire(home.path)
        let database = Database(connectionString: first.connectionString)
        try await database.query("CREATE TABLE kept (n integer)")
        kill(first.serverPID, SIGKILL)
        let second = try await acquire(home.path)
        #expect(second.serverPID != first.serverPID)
        // The connection was lost with the server, and comes back by itself.
        try await database.query("INSERT INTO kept VALUES (1)")
        await database.close()

        kill(second.serverPID, SIGKILL)
        while isRunning(second.serverPID) { try await Task.sleep(for: .milliseconds(20)) }
        let file = home.path.appending("cluster/data/postmaster.pid")
        let text = try read(file)
        let rest = text.drop { $0 != "\n" }
        try write("\(getpid())\(rest)", to: file)
        let third = try await acquire(home.path)
        #expect(third.serverPID != getpid())
        await third.release()
        await second.release()
        await first.release()
        #expect(!isRunning(third.serverPID))
    }

    @Test func `a server that falls over under load loses and doubles nothing`() async throws {
        let home = try TemporaryDirectory(isWatched: true)
        let first = try await acquire(home.path)
        let fixture = QueueFixture(connectionString: first.connectionString)
        _ = try await Migrator(database: fixture.database).migrate()
        let batch = try await fixture.openBatch()
        _ = try await fixture.queue.add(
            (0..<30).map { QueueFixture.document(FilePath("archive/\($0)"), content: "\($0)", pages: 10) }, to: batch)
        let workers = try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<3 {
                let queue = fixture.another()
                let worker = try await fixture.worker("w\(number)", pid: Int32(number))
                // Only a first connection that fails is not tried again.
                try await queue.database.query("SELECT 1")
                group.addTask {
                    while let lease = try await fixture.claim(worker, on: queue) {
                        for page in lease.pages {
                            let receipt = try await queue.record(
                                [QueueFixture.done(page)], lease: lease, worker: worker)
                            let rest = page < lease.pages.upperBound ? page + 1...lease.pages.upperBound : nil
                            #expect(receipt == .accepted(remaining: rest))
                        }
                    }
                }
            }
            var server = first
            var users = [first]
            for goal in [40, 120, 200] {
                while try await fixture.number("SELECT count(*) FROM quire.page") < goal {
                    try await Task.sleep(for: .milliseconds(10))
                }
                kill(server.serverPID, SIGQUIT)
                server = try await acquire(home.path)
                users.append(server)
            }
            try await group.waitForAll()
            return users
        }
        #expect(Set(workers.map(\.serverPID)).count == 4)
        let status = try await fixture.status(batch)
        #expect(status.pages.done == 300 && status.documents.complete == 30)
        #expect(try await fixture.number("SELECT count(DISTINCT token) FROM quire.page") == 30)
        #expect(try await fixture.number("SELECT count(*) FROM quire.attempt WHERE outcome = 'done'") == 30)
        for user in workers { await user.release() }
    }

    @Test func `a cluster of another version is left alone, with a sentence`() async throws {
        let home = try TemporaryDirectory(isWatched: true)
        let first = try await acquire(home.path)
        await first.release()
        let version = home.path.appending("cluster/data/PG_VERSION")
        let original = try read(version)
        try write("9\n", to: version)
        let error = await #expect(throws: DatabaseError.self) { try await acquire(home.path) }
        #expect(error?.description.contains("made by PostgreSQL 9") == true)
        #expect(error?.description.contains("postgresql-9") == true)
        try write(original, to: version)
        let again = try await acquire(home.path)
        await again.release()
    }

    @Test func `a directory with a long and odd name works`() async throws {
        let outer = try TemporaryDirectory()
        let home = outer.path.appending("it's a \"long\" $name, " + String(repeating: "x", count: 100))
        let cluster = try await acquire(home)
        let database = Database(connectionString: cluster.connectionString)
        var rows = try await database.query("SELECT current_user::text")
        #expect(try rows[0].text() == "quire")
        await database.close()
        await cluster.release()
        #expect(!isRunning(cluster.serverPID))
    }

    @Test func `the default directory follows the environment`() {
        let find = { EmbeddedPostgres.defaultDirectory(environment: $0) }
        #expect(find(["QUIRE_DATA": "/x/y", "HOME": "/h"]) == "/x/y")
        if geteuid() == 0 {
            #expect(find(["HOME": "/h", "XDG_DATA_HOME": "/d"]) == "/var/lib/quire")
        } else {
            #expect(find(["HOME": "/h", "XDG_DATA_HOME": "/d"]) == "/d/quire")
            #expect(find(["HOME": "/h"]) == "/h/.local/share/quire")
        }
    }

    @Test func `a session on the private cluster migrates it by itself`() async throws {
        let home = try TemporaryDirectory(isWatched: true)
        let settings = DatabaseSettings(environment: ["QUIRE_DATA": home.path.string])
        let session = try await DatabaseSession.open(settings)
        #expect(!session.appliedMigrations.isEmpty)
        #expect(try await session.queue.batches().isEmpty)
        // A child process needs nothing but the connection string.
        let text = try #require(session.connectionString)
        let child = try await DatabaseSession.open(DatabaseSettings(environment: ["DATABASE_URL": text]))
        #expect(try await child.queue.workers().isEmpty)
        await child.close()
        await session.close()
    }

    // MARK: One server, whatever host or namespace asks

    @Test func `a server that holds its lock and does not answer is waited for, never joined by a second one`()
        async throws
    {
        let home = try TemporaryDirectory(isWatched: true)
        let first = try await acquire(home.path)
        // As from a namespace that sees neither its process number nor its socket.
        let socket = home.path.appending("cluster/run/.s.PGSQL.5432")
        let hidden = home.path.appending("hidden")
        try rename(socket, hidden)
        let file = home.path.appending("cluster/data/postmaster.pid")
        let text = try read(file)
        try write("4000000\(text.drop { $0 != "\n" })", to: file)
        async let second = acquire(home.path)
        try await Task.sleep(for: .seconds(1))
        #expect(isRunning(first.serverPID))
        try write(text, to: file)
        try rename(hidden, socket)
        let joined = try await second
        #expect(joined.serverPID == first.serverPID)
        await first.release()
        await joined.release()
        #expect(!isRunning(first.serverPID))
    }

    @Test func `a database that another host has is refused until somebody takes it over`() async throws {
        let home = try TemporaryDirectory(isWatched: true)
        var options = Self.fast
        options.disk = .unknown
        let first = try await EmbeddedPostgres.acquire(directory: home.path, options: options)
        let record = home.path.appending("cluster/owner.json")
        let left = try #require(ServerOwner.read(record))
        #expect(left.host == ProcessIdentity.host && left.pid == first.serverPID)
        #expect(left.pidNamespace == ProcessIdentity.pidNamespace)
        await first.release()
        #expect(ServerOwner.read(record) == nil, "stopped in order, nobody has it")
        #expect(try await EmbeddedPostgres.takeOver(directory: home.path, options: options) == nil)

        var other = left
        other.host = "elsewhere"
        other.bootID = "another boot"
        try make(record, of: other)
        let error = await #expect(throws: DatabaseError.self) {
            try await EmbeddedPostgres.acquire(directory: home.path, options: options)
        }
        for part in ["elsewhere", left.since, "quire take-over-database"] {
            #expect(error?.description.contains(part) == true, "\(part)")
        }
        #expect(try await EmbeddedPostgres.takeOver(directory: home.path, options: options)?.host == "elsewhere")
        let again = try await EmbeddedPostgres.acquire(directory: home.path, options: options)
        await again.release()

        // The same host after a restart, and another one's disk that only one machine can have.
        other.host = ProcessIdentity.host
        try make(record, of: other)
        try await EmbeddedPostgres.acquire(directory: home.path, options: options).release()
        other.host = "elsewhere"
        try make(record, of: other)
        options.disk = .ofOneMachine
        try await EmbeddedPostgres.acquire(directory: home.path, options: options).release()
    }

    @Test func `nothing is taken over from a server that runs`() async throws {
        let home = try TemporaryDirectory(isWatched: true)
        let first = try await acquire(home.path)
        let used = await #expect(throws: DatabaseError.self) {
            try await EmbeddedPostgres.takeOver(directory: home.path, options: Self.fast)
        }
        #expect(used?.description.contains("in use") == true)
        await first.release()
    }

    @Test func `a network file system is refused with a sentence`() async throws {
        let home = try TemporaryDirectory()
        var options = Self.fast
        options.disk = .network("NFS")
        let error = await #expect(throws: DatabaseError.self) {
            try await EmbeddedPostgres.acquire(directory: home.path, options: options)
        }
        #expect(error?.description.contains("network file system (NFS)") == true)
        #expect(error?.description.contains("Set QUIRE_DATA") == true)
    }

    @Test func `data that lie elsewhere behind a link have their socket in the cluster's folder`() async throws {
        let home = try TemporaryDirectory(isWatched: true)
        try await acquire(home.path).release()
        let (data, moved) = (home.path.appending("cluster/data"), home.path.appending("cluster/moved/here"))
        _ = try await RunningProgram.run("mkdir", [moved.removingLastComponent().string])
        try rename(data, moved)
        _ = try await RunningProgram.run("ln", ["-s", moved.string, data.string])
        let cluster = try await acquire(home.path)
        let second = try await acquire(home.path)
        #expect(second.serverPID == cluster.serverPID)
        await second.release()
        await cluster.release()
        #expect(!isRunning(cluster.serverPID))
    }

    @Test func `a server that dies under its users is started again by whoever needs it`() async throws {
        let home = try TemporaryDirectory(isWatched: true)
        let session = try await DatabaseSession.open(DatabaseSettings(environment: ["QUIRE_DATA": home.path.string]))
        let beside = session.makeDatabase()
        #expect(try await session.queue.batches().isEmpty)
        #expect(try await beside.query("SELECT 1").count == 1)
        let record = home.path.appending("cluster/owner.json")
        let pid = try #require(ServerOwner.read(record)?.pid)
        kill(pid, SIGKILL)
        // A session may answer once more before it notices.
        while ServerOwner.read(record)?.pid == pid || ServerOwner.read(record)?.pid == nil {
            async let one = session.queue.batches()
            async let other = beside.query("SELECT 1")
            #expect(try await one.isEmpty)
            #expect(try await other.count == 1)
        }
        let next = try #require(ServerOwner.read(record)?.pid)
        #expect(isRunning(next))
        await beside.close()
        await session.close()
        #expect(!isRunning(next))
    }

    private func make(_ record: FilePath, of owner: ServerOwner) throws {
        let file = try FileDescriptor.open(
            record, .writeOnly, options: [.create, .truncate], permissions: .ownerReadWrite)
        try file.closeAfter { _ = try file.writeAll(JSONEncoder().encode(owner)) }
    }

    private func rename(_ from: FilePath, _ to: FilePath) throws {
        let result = from.withPlatformString { from in to.withPlatformString { Glibc.rename(from, $0) } }
        guard result == 0 else { throw Errno(rawValue: errno) }
    }

    private func read(_ path: FilePath) throws -> String {
        let file = try FileDescriptor.open(path, .readOnly)
        var buffer = [UInt8](repeating: 0, count: 10_000)
        return try file.closeAfter {
            let count = try buffer.withUnsafeMutableBytes { try file.read(into: $0) }
            return String(decoding: buffer.prefix(count), as: UTF8.self)
        }
    }

    private func write(_ text: String, to path: FilePath) throws {
        let file = try FileDescriptor.open(path, .writeOnly, options: .truncate)
        try file.closeAfter { _ = try file.writeAll(text.utf8) }
    }
}
