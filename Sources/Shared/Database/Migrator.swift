private import Digest
package import Migrations

/// Brings the schema `quire` up to date, forward only.
package struct Migrator: Sendable {
    package let database: Database
    private let migrations: [Migration]

    /// `migrations` are those that the program knows, oldest first.
    package init(database: Database, migrations: [Migration] = allMigrations) {
        self.database = database
        self.migrations = migrations
    }

    /// Applies what is missing, all of it or nothing; returns the names of the steps applied.
    package func migrate() async throws(DatabaseError) -> [String] {
        let migrations = migrations
        return try await database.transaction { connection throws(DatabaseError) in
            try connection.query("SELECT pg_advisory_xact_lock($1)", [.int(AdvisoryLock.migration)])
            if try connection.query("SELECT FROM pg_namespace WHERE nspname = 'quire'").isEmpty {
                try connection.execute(script: "CREATE SCHEMA quire")
            }
            if try !Self.hasLedger(connection) {
                try connection.execute(
                    script: """
                        CREATE TABLE quire.schema_migration (
                          name text PRIMARY KEY,
                          checksum bytea NOT NULL CHECK (octet_length(checksum) = 32),
                          applied_at timestamptz NOT NULL DEFAULT now()
                        )
                        """)
            }
            let missing = try Self.missing(of: migrations, connection)
            for migration in missing {
                try connection.execute(script: migration.sql)
                try connection.query(
                    "INSERT INTO quire.schema_migration (name, checksum) VALUES ($1, $2)",
                    [.text(migration.name), .bytes(migration.checksum)])
            }
            return missing.map(\.name)
        }
    }

    /// Throws `notMigrated` or `newerDatabase` unless the schema is the one that this program was made for.
    package func check() async throws(DatabaseError) {
        let migrations = migrations
        try await database.transaction { connection throws(DatabaseError) in
            guard try Self.hasLedger(connection) else {
                throw .notMigrated(reason: "The database holds no tables of Quire yet. Run `quire migrate` first.")
            }
            let missing = try Self.missing(of: migrations, connection)
            guard missing.isEmpty else {
                throw .notMigrated(
                    reason: "The database was made by an older Quire (\(missing.count) schema steps behind). "
                        + "Run `quire migrate` first.")
            }
        }
    }

    private static func hasLedger(_ connection: Connection) throws(DatabaseError) -> Bool {
        try !connection.query("SELECT FROM pg_tables WHERE schemaname = 'quire' AND tablename = 'schema_migration'")
            .isEmpty
    }

    /// The steps that the database has not seen; throws where it has seen others.
    private static func missing(
        of migrations: [Migration], _ connection: Connection
    ) throws(DatabaseError) -> [Migration] {
        var applied: [String: [UInt8]] = [:]
        for var row in try connection.query("SELECT name, checksum FROM quire.schema_migration") {
            applied[try row.text()] = try row.bytes()
        }
        if let unknown = applied.keys.filter({ name in !migrations.contains { $0.name == name } }).min() {
            throw .newerDatabase(
                reason: "The database was made by a newer Quire (it has the schema step \(unknown)). "
                    + "Update this program; nothing was changed.")
        }
        for migration in migrations {
            guard let checksum = applied[migration.name], checksum != migration.checksum else { continue }
            throw .newerDatabase(
                reason: "The schema step \(migration.name) in the database is not the one that this program knows: "
                    + "it was made by another build of Quire. Use that one, or another database; nothing was changed.")
        }
        return migrations.filter { applied[$0.name] == nil }
    }
}

extension Migration {
    fileprivate var checksum: [UInt8] { SHA256.hash(Array(sql.utf8)).bytes }
}
