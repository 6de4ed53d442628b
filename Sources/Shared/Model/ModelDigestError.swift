/// Why a model's files could not be hashed.
package enum ModelDigestError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A file is missing or cannot be read.
    case unreadable(reason: String)
    /// The index of the weights is not one.
    case badIndex(reason: String)

    package var description: String {
        switch self {
        case .unreadable(let reason), .badIndex(let reason): reason
        }
    }
}
