internal import Inference
internal import Rendering
internal import Shared

/// Why a command ends, in sentences for the person who gave it.
package struct CommandFailure: Error, Sendable, Equatable, CustomStringConvertible {
    package let status: ExitStatus
    package let description: String

    package init(_ status: ExitStatus, _ description: String) {
        self.status = status
        self.description = description
    }

    /// What to print of an error; nil where the argument parser's own message is the right one.
    package static func sentence(for error: any Error) -> String? {
        switch error {
        case is CommandFailure, is DatabaseError, is SettingsError, is InferenceError, is ModelDigestError,
            is RenderError,
            is ExportError:
            String(describing: error)
        default: nil
        }
    }
}
