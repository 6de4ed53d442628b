internal import ArgumentParser
private import Glibc
internal import Inference
internal import Rendering
internal import Shared

/// How `quire` ends; `quire --help` explains the codes.
package enum ExitStatus: Int32, Sendable {
    case success = 0
    case partial = 1
    case usage = 2
    case database = 3
    case interrupted = 4
    case model = 5
    case renderer = 6
    case workers = 7
    case output = 8

    /// The code for an error that ends a command; `parserCode` is what the argument parser would end with.
    package init(of error: any Error, parserCode: Int32 = 1) {
        switch error {
        case let failure as CommandFailure: self = failure.status
        case let error as DatabaseError: self = Self.of(error)
        case is SettingsError: self = .usage
        case is InferenceError, is ModelDigestError: self = .model
        case is RenderError: self = .renderer
        case is ExportError: self = .output
        case let code as ExitCode: self = ExitStatus(rawValue: code.rawValue) ?? .usage
        default: self = parserCode == 0 ? .success : .usage
        }
    }

    private static func of(_ error: DatabaseError) -> ExitStatus {
        switch error {
        case .batchConflict, .notFound, .refused, .badSettings: .usage
        case .connectionLost, .server, .notMigrated, .newerDatabase, .embeddedServer, .unexpectedAnswer: .database
        }
    }

    /// Ends the process.
    package func exit() -> Never { Glibc.exit(rawValue) }
}
