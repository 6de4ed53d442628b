package import SystemPackage

/// Which database to use.
package struct DatabaseSettings: Sendable, Hashable {
    package enum Server: Sendable, Hashable {
        /// A connection string or URL, handed to libpq untouched.
        case connectionString(String)
        /// libpq reads the PG* variables of the environment itself.
        case environment
        /// The private cluster in this directory.
        case embedded(directory: FilePath)
    }

    package var server: Server
    /// Seconds for which a broken connection is tried again before a call fails.
    package var patienceSeconds: Double
    /// How long statements may take.
    package var limits = StatementLimits.long

    package init(server: Server, patienceSeconds: Double = 30) {
        self.server = server
        self.patienceSeconds = patienceSeconds
    }

    /// `DATABASE_URL`, else libpq's own variables, else the private cluster.
    ///
    /// `EmbeddedPostgres.defaultDirectory` says where the cluster lies.
    package init(environment: [String: String]) {
        let names = ["PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE"]
        if let url = environment["DATABASE_URL"], !url.isEmpty {
            self.init(server: .connectionString(url))
        } else if names.contains(where: { environment[$0]?.isEmpty == false }) {
            self.init(server: .environment)
        } else {
            self.init(server: .embedded(directory: EmbeddedPostgres.defaultDirectory(environment: environment)))
        }
    }
}
