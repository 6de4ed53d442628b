package import ArgumentParser
internal import Shared

/// `quire migrate`.
package struct MigrateCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract: "Makes or updates Quire's tables in the database.",
        discussion: """
            Only a database of your own needs it, once and after each update of Quire, by a role that owns the schema:

              DATABASE_URL=postgresql://owner@db/quire quire migrate

            The private database is brought up to date whenever it is used. Steps only ever go forward; a database that \
            a newer Quire has made is left alone.
            """)

    package init() {}

    package func run() async throws {
        let (applied, advice) = try await Sessions.with(try Settings(), migrating: true) { session in
            (session.appliedMigrations, try await session.roleAdvice())
        }
        if applied.isEmpty { Console.line("The database is up to date.") }
        for name in applied { Console.line("Applied \(name).") }
        if let advice { Console.line(advice) }
    }
}
