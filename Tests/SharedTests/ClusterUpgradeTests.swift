import Glibc
import Shared
import SystemPackage
import TestSupport
import Testing

/// The command `quire upgrade-database`.
///
/// Debian 12 has PostgreSQL 15 only, so the way goes from 15 to 15, which pg_upgrade allows.
@Suite struct ClusterUpgradeTests {
    /// The programs to go to.
    private static let target = "/usr/lib/postgresql/15/bin"
    private static let isThere = access("\(target)/pg_upgrade", X_OK) == 0

    private func quire(
        _ arguments: String..., home: TemporaryDirectory, path: String? = nil
    ) async throws -> ProgramOutcome {
        let usual = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        return try await RunningProgram.run(
            RunningProgram.product("quire"), arguments,
            environment: [
                "DATABASE_URL": nil, "QUIRE_DATA": home.path.string, "HOME": home.path.string,
                "PATH": path.map { "\($0):\(usual)" } ?? usual,
            ], within: 300)
    }

    /// Lets `body` use the private database.
    private func use(_ home: TemporaryDirectory, _ body: (Database) async throws -> Void) async throws {
        let session = try await DatabaseSession.open(DatabaseSettings(environment: ["QUIRE_DATA": home.path.string]))
        try await body(session.database)
        await session.close()
    }

    private func folders(_ home: TemporaryDirectory) async throws -> [String] {
        let list = try await RunningProgram.run("ls", [home.path.appending("cluster").string])
        return list.output.split(separator: "\n").map(String.init).filter { $0.hasPrefix("data") }
    }

    @Test(.enabled(if: isThere, "PostgreSQL 15's pg_upgrade is not installed"))
    func `the data move to the other programs, with their settings, and the old ones stay`() async throws {
        let home = try TemporaryDirectory(isWatched: true)
        try await use(home) { database in
            try await database.query(
                "CREATE TABLE kept AS SELECT n, repeat('x', 1000) FROM generate_series(1, 5000) AS n")
            try await database.query("ALTER SYSTEM SET work_mem = '5MB'")
        }
        let outcome = try await quire("upgrade-database", "--programs", Self.target, home: home)
        #expect(outcome.isSuccess, "\(outcome.output) \(outcome.errors)")
        let kept = try #require(try await folders(home).first { $0.hasPrefix("data.postgresql-15.") })
        #expect(outcome.output.contains(kept))
        #expect(try await folders(home) == ["data", kept])
        try await use(home) { database in
            var rows = try await database.query(
                """
                SELECT count(*), current_setting('work_mem'), current_setting('data_checksums'),
                    (SELECT count(*) FROM pg_stats WHERE tablename = 'kept')
                FROM kept
                """)
            #expect(try rows[0].int() == 5000)
            #expect(try rows[0].text() == "5MB")
            #expect(try rows[0].text() == "on")
            #expect(try rows[0].int() > 0, "the planner knows the rows")
        }
        // The old data work with the old programs: put back, they are as they were.
        let swap = """
            cd "$1"/cluster && mv data new && mv "$2" data
            """
        _ = try await RunningProgram.run("sh", ["-c", swap, "sh", home.path.string, kept])
        try await use(home) { database in
            var rows = try await database.query("SELECT count(*), current_setting('server_version_num')::int FROM kept")
            #expect(try rows[0].int() == 5000)
            #expect(try rows[0].int() / 10_000 == 15)
        }
    }

    @Test(.enabled(if: isThere, "PostgreSQL 15's pg_upgrade is not installed"))
    func `a database in use, one that is not there and one of one's own are refused`() async throws {
        let home = try TemporaryDirectory(isWatched: true)
        let none = try await quire("upgrade-database", "--programs", Self.target, home: home)
        #expect(none.status == 2)
        #expect(none.errors.contains("no private database"))
        let session = try await DatabaseSession.open(DatabaseSettings(environment: ["QUIRE_DATA": home.path.string]))
        let used = try await quire("upgrade-database", "--programs", Self.target, home: home)
        #expect(used.status == 2)
        #expect(used.errors.contains("in use"))
        #expect(try await session.queue.batches().isEmpty)
        await session.close()
        #expect(try await folders(home) == ["data"])
        let newest = try await quire("upgrade-database", home: home)
        #expect(newest.isSuccess && newest.output.contains("Nothing was changed"))
        let own = try await RunningProgram.run(
            RunningProgram.product("quire"), ["upgrade-database"],
            environment: ["DATABASE_URL": "host=/nowhere", "HOME": home.path.string])
        #expect(own.status == 2)
        #expect(own.errors.contains("of your own"))
    }

    @Test(.enabled(if: isThere, "PostgreSQL 15's pg_upgrade is not installed"))
    func `an upgrade that is killed in the middle, with pg_upgrade, leaves a database that works`() async throws {
        let home = try TemporaryDirectory(isWatched: true)
        try await use(home) { database in try await database.query("CREATE TABLE kept AS SELECT 7 AS n") }
        let upgrade = try RunningProgram(
            RunningProgram.product("quire"), ["upgrade-database", "--programs", Self.target],
            environment: ["DATABASE_URL": nil, "QUIRE_DATA": home.path.string, "HOME": home.path.string])
        // pg_upgrade starts a server of its own on the old data, at another port.
        while !home.text(of: home.path.appending("cluster/data/postmaster.pid")).contains("\n50432\n") {
            try await Task.sleep(for: .milliseconds(5))
        }
        let killing =
            "for p in $(pgrep -x pg_upgrade); do [ \"$(readlink /proc/$p/cwd)\" = \"$1\" ] && kill -9 $p; done"
        upgrade.send(signal: SIGKILL)
        _ = try await RunningProgram.run("sh", ["-c", killing, "sh", home.path.appending("cluster").string])
        _ = await upgrade.outcome()
        try await use(home) { database in
            var rows = try await database.query("SELECT n FROM kept")
            #expect(try rows[0].int() == 7)
        }
        let again = try await quire("upgrade-database", "--programs", Self.target, home: home)
        #expect(again.isSuccess, "\(again.errors)")
        try await use(home) { database in
            let rows = try await database.query("SELECT n FROM kept")
            #expect(rows.count == 1)
        }
    }

    /// A stand-in for PostgreSQL 99: its initdb makes a folder, and what its pg_upgrade does is said by the test.
    private func standIn(_ home: TemporaryDirectory, upgrade: String) throws -> String {
        let folder = home.path.appending("ninety-nine")
        try home.makeFolder("ninety-nine")
        let programs = [
            "postgres": "echo 'postgres (PostgreSQL) 99.1'", "pg_ctl": "exit 1", "pg_upgrade": upgrade,
            "initdb": "mkdir data.upgrade && cd data.upgrade && touch postgresql.conf pg_hba.conf pg_ident.conf",
        ]
        for (name, script) in programs {
            let file = folder.appending(name)
            try home.makeFile("ninety-nine/\(name)", Array("#!/bin/sh\n\(script)\n".utf8))
            chmod(file.string, 0o755)
        }
        return folder.string
    }

    @Test func `an upgrade that fails or does not start leaves the old database as it was`() async throws {
        let home = try TemporaryDirectory(isWatched: true)
        try await use(home) { database in try await database.query("CREATE TABLE kept AS SELECT 7 AS n") }
        for (upgrade, sentence) in [
            ("echo 'it cannot be'; exit 1", "it cannot be"), ("kill -9 $PPID; sleep 1", ""),
            ("cp data/PG_VERSION data.upgrade/", "in their place again"),
        ] {
            let failed = try await quire("upgrade-database", home: home, path: try standIn(home, upgrade: upgrade))
            #expect(!failed.isSuccess, "\(failed.output)")
            #expect(failed.errors.contains(sentence), "\(failed.errors)")
            try await use(home) { database in
                var rows = try await database.query("SELECT n FROM kept")
                #expect(try rows[0].int() == 7)
            }
        }
    }

    @Test func `the doctor says so in time, and a missing version what to install`() async throws {
        let home = try TemporaryDirectory(isWatched: true)
        try await use(home) { _ in }
        let programs = try standIn(home, upgrade: "exit 1")
        let doctor = try await quire("doctor", home: home, path: programs)
        #expect(doctor.output.contains("PostgreSQL 99 is installed too"))
        #expect(doctor.output.contains("quire upgrade-database"))
        let plain = try await quire("doctor", home: home)
        #expect(!plain.output.contains("is installed too"))

        let version = home.path.appending("cluster/data/PG_VERSION")
        let number = home.text(of: version)
        try home.makeFile("cluster/data/PG_VERSION", Array("14\n".utf8))
        let missing = try await quire("status", home: home)
        #expect(missing.status == 3)
        #expect(missing.errors.contains("install postgresql-14 again") && missing.errors.contains("upgrade-database"))
        try home.makeFile("cluster/data/PG_VERSION", Array(number.utf8))
    }

    @Test func `where the data are missing beside those that an upgrade kept, no empty database is made`() async throws
    {
        let home = try TemporaryDirectory(isWatched: true)
        try await use(home) { _ in }
        let move = "cd \"$1\"/cluster && mv data data.postgresql-15.20261130T155201Z"
        _ = try await RunningProgram.run("sh", ["-c", move, "sh", home.path.string])
        let outcome = try await quire("status", home: home)
        #expect(outcome.status == 3)
        #expect(outcome.errors.contains("data.postgresql-15.20261130T155201Z"))
        #expect(try await folders(home) == ["data.postgresql-15.20261130T155201Z"])
    }
}
