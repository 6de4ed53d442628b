package import SystemPackage

/// Why a model's files could not be hashed.
package enum ModelDigestError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A file is missing or cannot be read.
    case unreadable(reason: String)
    /// The index of the weights is not one.
    case badIndex(reason: String)
    /// The files are being changed, or a change was cut off among them.
    case unfinished(FilePath)
    /// Another model took the place of the one that was being loaded.
    case changed(FilePath)

    package var description: String {
        switch self {
        case .unreadable(let reason), .badIndex(let reason): reason
        case .unfinished(let directory):
            "\(directory.displayText) may hold files of two models: a change to another commit has begun there and not "
                + "ended. Wait for it, or give the same `quire model pull` again."
        case .changed(let directory):
            "The model in \(directory.displayText) was changed while it was loaded. Start again: that takes the new one."
        }
    }
}
