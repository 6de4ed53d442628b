package import SystemPackage

/// Why a model cannot be loaded or a page cannot be recognised, in words that name the file and the thing.
package enum InferenceError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A file of the model directory is missing or cannot be read.
    case unreadableFile(FilePath, reason: String)
    /// `config.json` or `quire.json` says something that this engine cannot do.
    case badConfiguration(FilePath, reason: String)
    /// Tensors are missing, misnamed, mis-shaped, of an unknown type or cut off; each line says what was expected and found.
    case badTensors(FilePath, problems: [String])
    /// `tokenizer.json` cannot be used.
    case badTokenizer(FilePath, reason: String)
    /// A request does not fit the model: a prompt without `<image>`, or one longer than the context.
    case badRequest(String)
    /// The caller asked to stop.
    case cancelled

    package var description: String {
        switch self {
        case .unreadableFile(let path, let reason):
            "Cannot read \(path): \(reason). Check the model directory, or fetch the model again with `quire model pull`."
        case .badConfiguration(let path, let reason):
            "\(path) cannot be used: \(reason)."
        case .badTensors(let path, let problems):
            "The weights in \(path) do not fit its config.json:\n  " + problems.joined(separator: "\n  ")
                + "\nFetch the model again with `quire model pull`, or check it with `quire model verify`."
        case .badTokenizer(let path, let reason):
            "The tokenizer \(path) cannot be used: \(reason)."
        case .badRequest(let reason):
            reason
        case .cancelled:
            "Recognition was cancelled."
        }
    }
}
