internal import Shared

/// Opens the database for the length of a command.
enum Sessions {
    /// Runs `body` with the database that the settings name, and closes it however `body` ends.
    static func with<Value>(
        _ settings: Settings, migrating: Bool = false, limits: StatementLimits = .long,
        _ body: (DatabaseSession) async throws -> Value
    ) async throws -> Value {
        var database = settings.database
        database.limits = limits
        let session = try await DatabaseSession.open(database, migrating: migrating)
        do {
            let value = try await body(session)
            await session.close()
            return value
        } catch {
            await session.close()
            throw error
        }
    }
}
