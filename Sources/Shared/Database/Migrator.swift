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
    ///
    /// Rights are given with each step; `isGranting` gives them again where there is none, for roles that have been made
    /// since.
    package func migrate(isGranting: Bool = false) async throws(DatabaseError) -> [String] {
        let migrations = migrations
        return try await database.transaction(limits: .migration) { connection throws(DatabaseError) in
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
            if isGranting || !missing.isEmpty { try Self.grantRoles(connection) }
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

    /// The group roles that the schema's owner could not make; nothing of it concerns a private cluster.
    package func missingRoles() async throws(DatabaseError) -> [String] {
        let rows = try await database.query(
            """
            SELECT name FROM unnest($1::text[]) WITH ORDINALITY r(name, place)
            WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) ORDER BY place
            """, [.texts(Self.groupRoles)])
        var missing: [String] = []
        for var row in rows { missing.append(try row.text()) }
        return missing
    }

    /// Made and given their rights by `quire.grant_roles`.
    private static let groupRoles = ["quire_reader", "quire_worker", "quire_submitter"]

    private static func grantRoles(_ connection: Connection) throws(DatabaseError) {
        guard try !connection.query("SELECT WHERE to_regprocedure('quire.grant_roles()') IS NOT NULL").isEmpty else {
            return
        }
        try connection.execute(script: "SELECT quire.grant_roles()")
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
