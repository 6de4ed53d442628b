import Migrations
import Shared
import TestSupport
import Testing

@Suite struct SchemaTests {
    @Test func `a second migration applies nothing`() async throws {
        let database = Database(connectionString: try await TestPostgres.shared.makeDatabase(migrated: false))
        let migrator = Migrator(database: database)
        await #expect(throws: DatabaseError.self) { try await migrator.check() }
        #expect(try await migrator.migrate() == allMigrations.map(\.name))
        #expect(try await migrator.migrate() == [])
        try await migrator.check()
    }
}
