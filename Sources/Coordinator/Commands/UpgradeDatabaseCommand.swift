package import ArgumentParser
internal import Shared
internal import SystemPackage

/// `quire upgrade-database`.
package struct UpgradeDatabaseCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "upgrade-database",
        abstract: "Moves the private database to a newer PostgreSQL.",
        discussion: """
            PostgreSQL reads only the data of its own version. When a newer one is to take its place, install that beside \
            the old one, and before the old one is removed:

              apt-get install postgresql-17
              quire upgrade-database

            The data are copied into a new folder by pg_upgrade; the old folder stays beside it under another name, which \
            is said in the end, and can be deleted when all is well. It needs room for that copy. While it works no other \
            Quire program can use the database. If it is interrupted, the old database is as it was.

            A database of your own (DATABASE_URL) is for its administrator to upgrade.
            """)

    @Option(
        help: ArgumentHelp(
            "The folder with the programs of the PostgreSQL to go to. [default: the newest that is installed]",
            valueName: "dir"))
    package var programs: PathArgument?

    package init() {}

    package func run() async throws {
        let directory = try PrivateDatabase.directory(try Settings())
        let done = try await EmbeddedPostgres.upgrade(directory: directory, programs: programs?.path) { sentence in
            Console.line(sentence)
        }
        guard let done else {
            let version = EmbeddedPostgres.versions(directory: directory).map { " \($0.own)" } ?? ""
            return Console.line(
                "The database is of PostgreSQL\(version), the newest that is installed here. Nothing was changed.")
        }
        Console.line("The database is of PostgreSQL \(done.newVersion) now.")
        Console.line(
            """
            The data of PostgreSQL \(done.oldVersion) are in \(done.kept.displayText). When all is well they can be deleted. Settings \
            that were made by hand in its postgresql.conf were not taken over.
            """)
    }
}

/// The private database as the commands that look after it find it.
enum PrivateDatabase {
    /// Its directory; throws a sentence where the settings name another database.
    static func directory(_ settings: Settings) throws(CommandFailure) -> FilePath {
        guard case .embedded(let directory) = settings.database.server else {
            throw CommandFailure(
                .usage,
                """
                The settings name a database of your own (DATABASE_URL or PG* variables), which its administrator looks after. \
                This command is for the private one. Nothing was changed.
                """)
        }
        return directory
    }
}
