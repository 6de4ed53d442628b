/// One forward-only step of the schema.
package struct Migration: Sendable {
    package let name: String
    package let sql: String

    package init(name: String, sql: String) {
        self.name = name
        self.sql = sql
    }
}

/// All steps, oldest first; a step that has landed is never changed.
package let allMigrations: [Migration] = [
    Migration(name: "0001_queue", sql: String(decoding: PackageResources.m0001_queue_sql, as: UTF8.self)),
    Migration(name: "0002_functions", sql: String(decoding: PackageResources.m0002_functions_sql, as: UTF8.self)),
    Migration(name: "0003_roles", sql: String(decoding: PackageResources.m0003_roles_sql, as: UTF8.self)),
    Migration(name: "0004_lone_pages", sql: String(decoding: PackageResources.m0004_lone_pages_sql, as: UTF8.self)),
    Migration(name: "0005_commands", sql: String(decoding: PackageResources.m0005_commands_sql, as: UTF8.self)),
    Migration(name: "0006_faults", sql: String(decoding: PackageResources.m0006_faults_sql, as: UTF8.self)),
    Migration(name: "0008_orders", sql: String(decoding: PackageResources.m0008_orders_sql, as: UTF8.self)),
    Migration(
        name: "0009_named_leases", sql: String(decoding: PackageResources.m0009_named_leases_sql, as: UTF8.self)),
    Migration(
        name: "0010_absent_files", sql: String(decoding: PackageResources.m0010_absent_files_sql, as: UTF8.self)),
    Migration(name: "0011_page_notes", sql: String(decoding: PackageResources.m0011_page_notes_sql, as: UTF8.self)),
]
