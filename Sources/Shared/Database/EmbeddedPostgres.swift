package import SystemPackage

/// The private PostgreSQL cluster, started by whoever needs it and stopped by its last user.
package final class EmbeddedPostgres: Sendable {
    package struct Options: Sendable {
        /// False only in tests: a crash of the machine may then lose data.
        package var isDurable = true

        package init() {}
    }

    /// What libpq needs to reach the cluster's database; valid in child processes too.
    package let connectionString: String

    private init(connectionString: String) { self.connectionString = connectionString }

    /// `QUIRE_DATA`, else /var/lib/quire for root, else `$XDG_DATA_HOME/quire` or ~/.local/share/quire.
    package static func defaultDirectory(environment: [String: String]) -> FilePath { "/var/lib/quire" }

    /// Makes the cluster if there is none, starts it if it does not run, and keeps it running until `release`.
    package static func acquire(
        directory: FilePath, options: Options = Options()
    ) async throws(DatabaseError) -> EmbeddedPostgres {
        throw .unexpectedAnswer(reason: "not there yet")
    }

    /// Gives the cluster up; its last user stops it.
    package func release() async {}
}
