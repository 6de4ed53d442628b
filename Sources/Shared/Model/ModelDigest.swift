package import SystemPackage

/// What identifies a model: SHA-256 over the digests of its files.
package enum ModelDigest {
    /// The digest of the model in `directory`, 64 hexadecimal digits.
    ///
    /// SHA-256 over sorted lines `hex  name\n` of config.json, tokenizer.json, model.safetensors.index.json and the
    /// safetensors files used. Digests of files are cached by path, size and time of modification.
    ///
    /// - Parameter cacheDirectory: Holds the cache; nil for `$XDG_CACHE_HOME/quire` or ~/.cache/quire.
    package static func compute(
        directory: FilePath, cacheDirectory: FilePath? = nil
    ) async throws(ModelDigestError) -> String { throw .unreadable(reason: "not there yet") }
}

/// Why a model's files could not be hashed.
package enum ModelDigestError: Error, Sendable, Hashable, CustomStringConvertible {
    case unreadable(reason: String)

    package var description: String {
        switch self {
        case .unreadable(let reason): reason
        }
    }
}
