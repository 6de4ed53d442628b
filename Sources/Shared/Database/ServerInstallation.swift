internal import SystemPackage

#if canImport(Glibc)
    private import Glibc
#endif

/// The programs of one installed PostgreSQL.
struct ServerInstallation: Sendable {
    /// Holds initdb, pg_ctl and postgres.
    var directory: FilePath
    /// Such as 15.
    var majorVersion: Int

    static let advice = "Install it (Debian, Ubuntu: apt-get install postgresql), or set DATABASE_URL to a server."

    /// The newest installation, or the one of `version`; throws a sentence that says what to install.
    static func find(version: Int?) throws(DatabaseError) -> ServerInstallation {
        let all = all()
        guard let version else {
            guard let newest = all.max(by: { $0.majorVersion < $1.majorVersion }) else {
                throw .embeddedServer(reason: "PostgreSQL's server is not installed. \(advice)")
            }
            return newest
        }
        guard let match = all.first(where: { $0.majorVersion == version }) else {
            let others = all.map { String($0.majorVersion) }.sorted().joined(separator: ", ")
            let found = others.isEmpty ? "no PostgreSQL" : "PostgreSQL \(others)"
            throw .embeddedServer(
                reason:
                    "The database was made by PostgreSQL \(version), and \(found) is installed. Its data can be read by "
                    + "PostgreSQL \(version) only: install postgresql-\(version) again (beside a newer one; Debian and "
                    + "Ubuntu have old versions at apt.postgresql.org), then move the data by `quire upgrade-database`. "
                    + "Nothing was changed.")
        }
        return match
    }

    /// The installation in a folder that somebody has named.
    static func at(_ directory: FilePath) throws(DatabaseError) -> ServerInstallation {
        guard hasPrograms(directory), let version = askVersion(directory) else {
            throw .badSettings(
                reason: "\(directory.displayText) does not hold initdb, pg_ctl and postgres that work here.")
        }
        return ServerInstallation(directory: directory, majorVersion: version)
    }

    /// The newest installation's version; nil where there is none.
    static func newestVersion() -> Int? { all().map(\.majorVersion).max() }

    private static func all() -> [ServerInstallation] {
        var candidates: [(directory: FilePath, version: Int?)] = []
        for pattern in ["/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin"] {
            candidates += glob(pattern).map { directory in
                let digits =
                    pattern.hasPrefix("/usr/lib")
                    ? directory.removingLastComponent().lastComponent?.string : nil
                return (directory, digits.flatMap { Int($0) })
            }
        }
        let path = getenv("PATH").map { String(cString: $0) } ?? ""
        candidates += path.split(separator: ":").map { (FilePath(String($0)), nil) }
        return candidates.compactMap { directory, version in
            guard hasPrograms(directory), let major = version ?? askVersion(directory)
            else { return nil }
            return ServerInstallation(directory: directory, majorVersion: major)
        }
    }

    private static func hasPrograms(_ directory: FilePath) -> Bool {
        ["initdb", "pg_ctl", "postgres"].allSatisfy { isExecutable(directory.appending($0)) }
    }

    /// Reads `postgres (PostgreSQL) 15.8`.
    private static func askVersion(_ directory: FilePath) -> Int? {
        let command = ServerCommand(
            arguments: [directory.appending("postgres").bytes, Array("--version".utf8)], environment: [:])
        guard let outcome = try? command.run(), outcome.status == 0 else { return nil }
        let words = outcome.output.split { $0.isWhitespace }
        return words.lazy.compactMap { word in Int(word.prefix { $0.isNumber }) }.first
    }

    private static func isExecutable(_ path: FilePath) -> Bool {
        path.withPlatformString { access($0, X_OK) == 0 }
    }

    private static func glob(_ pattern: String) -> [FilePath] {
        var found = glob_t()
        defer { globfree(&found) }
        guard Glibc.glob(pattern, 0, nil, &found) == 0, let paths = found.gl_pathv else { return [] }
        return (0..<Int(found.gl_pathc)).compactMap { index in paths[index].map { FilePath(platformString: $0) } }
    }
}
