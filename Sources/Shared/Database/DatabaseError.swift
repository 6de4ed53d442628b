/// What went wrong with the database or the job tables.
///
/// Messages hold no credentials.
package enum DatabaseError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The server cannot be reached, or the connection broke and did not come back in time.
    case connectionLost(reason: String)
    /// The server refused a statement.
    case server(sqlState: String, message: String, advice: String?)
    /// The settings cannot be used, such as a `DATABASE_URL` that is not one.
    case badSettings(reason: String)
    /// The schema is missing or older than this program.
    case notMigrated(reason: String)
    /// The schema was made by a newer program.
    case newerDatabase(reason: String)
    /// The private cluster cannot be made or started.
    case embeddedServer(reason: String)
    /// A batch of this name has another folder or another pipeline.
    case batchConflict(reason: String)
    /// A batch, document or page that was named does not exist.
    case notFound(reason: String)
    /// The request cannot be carried out as things stand, such as a retry in a cancelled batch.
    case refused(reason: String)
    /// The server answered what the program does not expect: a fault of Quire.
    case unexpectedAnswer(reason: String)

    /// What any order about a batch says whose deletion has begun.
    package static func isBeingDeleted(_ batch: String) -> DatabaseError {
        .refused(
            reason: "The batch \(batch) is being deleted. To finish that, give "
                + "`quire prune --batch \(batch) --results --yes` again.")
    }

    package var description: String {
        switch self {
        case .connectionLost(let reason): "The database cannot be reached: \(reason)"
        case .server(let sqlState, let message, let advice):
            "The database refused a statement (SQLSTATE \(sqlState)): \(message)" + (advice.map { " \($0)" } ?? "")
        case .badSettings(let reason), .notMigrated(let reason), .newerDatabase(let reason),
            .embeddedServer(let reason), .batchConflict(let reason), .notFound(let reason), .refused(let reason):
            reason
        case .unexpectedAnswer(let reason): "The database gave an unexpected answer: \(reason)"
        }
    }
}
