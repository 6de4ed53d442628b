import SystemPackage
import TestSupport

/// Runs scripts that set the scene.
enum Shell {
    /// Runs `script` with its arguments as `$1`, `$2`, ...; returns what it printed.
    @discardableResult
    static func run(_ script: String, _ arguments: String...) async throws -> String {
        let outcome = try await RunningProgram.run("/bin/sh", ["-ec", script, "sh"] + arguments)
        guard outcome.isSuccess else {
            throw ChaosError.command("A step of the test failed: \(outcome.output) \(outcome.errors)")
        }
        return outcome.output
    }
}
