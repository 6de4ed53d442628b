package import ArgumentParser
internal import Shared

/// `quire take-over-database`.
package struct TakeOverDatabaseCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "take-over-database",
        abstract: "Lets this machine have a private database that another one has left.",
        discussion: """
            A private database has one server. When the machine that started it did not stop it, and may still be writing, \
            Quire refuses to start another and names that machine. If it is gone for good, or is this one under another \
            name, say so:

              quire take-over-database

            It refuses where a server still answers or still runs on this machine. Two servers on one database destroy it, \
            so make sure first that no Quire runs on the other machine.
            """)

    package init() {}

    package func run() async throws {
        let directory = try PrivateDatabase.directory(try Settings())
        guard let owner = try await EmbeddedPostgres.takeOver(directory: directory) else {
            return Console.line("Nobody else has the database in \(directory.displayText). Nothing was changed.")
        }
        Console.line(
            "\(owner.host), which had the database since \(owner.since), is forgotten: this machine may have it now.")
    }
}
