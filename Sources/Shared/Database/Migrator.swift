/// Brings the schema `quire` up to date, forward only.
package struct Migrator: Sendable {
    package let database: Database

    package init(database: Database) { self.database = database }

    /// Applies what is missing; returns the names of the steps applied.
    package func migrate() async throws(DatabaseError) -> [String] { [] }

    /// Throws unless the schema is the one that this program was made for.
    package func check() async throws(DatabaseError) {}
}
