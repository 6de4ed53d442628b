import Migrations
import Shared
import SystemPackage
import TestSupport
import Testing

@Suite struct DatabaseTests {
    private func database(migrated: Bool = false) async throws -> Database {
        Database(connectionString: try await TestPostgres.shared.makeDatabase(migrated: migrated))
    }

    @Test func `values of all kinds come back as they went`() async throws {
        let database = try await database()
        var rows = try await database.query(
            "SELECT $1::bigint, $2::integer, $3::smallint, $4::text, $5::bytea, $6::boolean, $7::float8, $8::real, $9::text",
            [
                .int(Int64.min), .int(-5), .int(7), .text("ä'\\\"{},\u{1F4C4}"), .bytes([0, 255, 92, 39]), .bool(true),
                .double(.pi), .double(0.5), .null,
            ])
        #expect(try rows[0].int64() == .min)
        #expect(try rows[0].int() == -5)
        #expect(try rows[0].int() == 7)
        #expect(try rows[0].text() == "ä'\\\"{},\u{1F4C4}")
        #expect(try rows[0].bytes() == [0, 255, 92, 39])
        #expect(try rows[0].bool())
        #expect(try rows[0].double() == .pi)
        #expect(try rows[0].double() == 0.5)
        #expect(try rows[0].optionalText() == nil)
        #expect(throws: DatabaseError.self) { try rows[0].text() }
    }

    @Test func `arrays come back as they went`() async throws {
        let database = try await database()
        let texts: [String?] = ["a,b", nil, "{\"}\\", "", "NULL"]
        let bytes: [[UInt8]?] = [[], [0, 1], nil, [255], [10, 13]]
        let rows = try await database.query(
            "SELECT * FROM unnest($1::text[], $2::bytea[], $3::bigint[], $4::float8[], $5::boolean[])",
            [
                .texts(texts), .byteArrays(bytes), .ints([1, nil, 3, -4, 5]), .doubles([1.5, nil, 2, 3, -0.25]),
                .bools([true, nil, false, true, false]),
            ])
        #expect(rows.count == 5)
        for (index, row) in rows.enumerated() {
            var row = row
            #expect(try row.optionalText() == texts[index])
            #expect(try row.optionalBytes() == bytes[index])
            #expect(try row.optionalInt64() == [1, nil, 3, -4, 5][index])
            #expect(try row.optionalDouble() == [1.5, nil, 2, 3, -0.25][index])
            #expect(try row.optionalBool() == [true, nil, false, true, false][index])
        }
        #expect(try await database.query("SELECT * FROM unnest($1::bigint[])", [.ints([Int]())]).isEmpty)
    }

    @Test func `a parameter of fifty megabytes arrives whole`() async throws {
        let database = try await database()
        let big = [UInt8](repeating: 0xA7, count: 50_000_000)
        var rows = try await database.query("SELECT octet_length($1), octet_length($2)", [.bytes(big), .text("x")])
        #expect(try rows[0].int() == big.count)
    }

    @Test func `an error keeps the state and the message, and says what to do`() async throws {
        let database = try await database()
        let error = await #expect(throws: DatabaseError.self) { try await database.query("SELECT * FROM quire.batch") }
        guard case .server(let state, let message, let advice) = try #require(error) else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(state == "42P01" && message.contains("quire.batch") && advice?.contains("quire migrate") == true)
        #expect(try await database.query("SELECT 1").count == 1)
    }

    @Test func `a connection that the server cuts is opened again`() async throws {
        let text = try await TestPostgres.shared.makeDatabase(migrated: false)
        let (database, other) = (Database(connectionString: text), Database(connectionString: text))
        for _ in 0..<3 {
            var rows = try await database.query("SELECT pg_backend_pid()")
            try await other.query("SELECT pg_terminate_backend($1::bigint::integer)", [.int(try rows[0].int64())])
            var answer = try await database.query("SELECT 42::bigint")
            #expect(try answer[0].int() == 42)
        }
    }

    @Test func `a server that is not there is told at once, and no password with it`() async throws {
        let addresses = [
            "postgresql://me:s3cret@127.0.0.1:1/quire", "host=/nonexistent password=s3cret",
            "postgresql:/me:s3cret@host",
            "postgresql://me:s3cret/x@127.0.0.1/quire", "postgresql://me:s3cret@127.0.0.1:port/quire", "s3cret",
        ]
        for address in addresses {
            let database = Database(connectionString: address)
            let error = await #expect(throws: DatabaseError.self) { try await database.query("SELECT 1") }
            let text = try #require(error).description
            #expect(!text.contains("s3cret"), "\(text)")
            #expect(text.hasSuffix("."), "\(text)")
        }
    }

    @Test func `settings come from DATABASE_URL, then PG variables, then the private cluster`() {
        let settings = { DatabaseSettings(environment: $0).server }
        #expect(settings(["DATABASE_URL": "postgresql://x", "PGHOST": "y"]) == .connectionString("postgresql://x"))
        #expect(settings(["DATABASE_URL": "", "PGHOST": "y"]) == .environment)
        #expect(settings(["PGPASSWORD": "x", "QUIRE_DATA": "/d"]) == .embedded(directory: "/d"))
    }

    @Test func `a second migration applies nothing`() async throws {
        let database = try await database()
        let migrator = Migrator(database: database)
        let error = await #expect(throws: DatabaseError.self) { try await migrator.check() }
        #expect(error?.description.contains("quire migrate") == true)
        #expect(try await migrator.migrate() == allMigrations.map(\.name))
        #expect(try await migrator.migrate() == [])
        try await migrator.check()
    }

    @Test func `a database of a newer program is refused and not touched`() async throws {
        let database = try await database()
        let newer = allMigrations + [Migration(name: "9999_future", sql: "CREATE TABLE quire.future ()")]
        #expect(try await Migrator(database: database, migrations: newer).migrate().last == "9999_future")
        for attempt in [true, false] {
            let error = await #expect(throws: DatabaseError.self) {
                if attempt {
                    _ = try await Migrator(database: database).migrate()
                } else {
                    try await Migrator(database: database).check()
                }
            }
            #expect(error?.description.contains("9999_future") == true)
        }
        let changed = [Migration(name: "0001_queue", sql: "SELECT 2")] + newer.dropFirst()
        let other = await #expect(throws: DatabaseError.self) {
            try await Migrator(database: database, migrations: Array(changed)).migrate()
        }
        #expect(other?.description.contains("0001_queue") == true)
    }

    @Test func `a migration that fails leaves nothing behind`() async throws {
        let database = try await database()
        let broken = allMigrations + [Migration(name: "9999_broken", sql: "CREATE TABLE quire.half (); SELECT 1/0")]
        await #expect(throws: DatabaseError.self) {
            try await Migrator(database: database, migrations: broken).migrate()
        }
        #expect(try await database.query("SELECT FROM pg_namespace WHERE nspname = 'quire'").isEmpty)
    }

    @Test func `four programs that migrate at once do it once`() async throws {
        let text = try await TestPostgres.shared.makeDatabase(migrated: false)
        let applied = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    try await Migrator(database: Database(connectionString: text)).migrate().count
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(applied == allMigrations.count)
    }
}
