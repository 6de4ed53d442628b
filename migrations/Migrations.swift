/// One forward-only step of the schema.
package struct Migration: Sendable {
    package let name: String
    package let sql: String
}

/// All steps, oldest first. A step that has landed is never changed.
package let allMigrations: [Migration] = [
    Migration(name: "0001_queue", sql: String(decoding: PackageResources.m0001_queue_sql, as: UTF8.self))
]
