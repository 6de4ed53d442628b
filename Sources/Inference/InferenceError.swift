package import SystemPackage

/// Why a model cannot be loaded or a page cannot be recognised, in words that name the file and the thing.
package enum InferenceError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A file of the model directory is missing or cannot be read.
    case unreadableFile(FilePath, reason: String)
    /// The directory's files are being changed, or a change was cut off among them.
    case unfinishedModel(FilePath)
    /// `config.json` or `quire.json` says something that this engine cannot do.
    case badConfiguration(FilePath, reason: String)
    /// Tensors are missing, misnamed, mis-shaped, of an unknown type or cut off; each line says what was expected and found.
    case badTensors(FilePath, problems: [String])
    /// `tokenizer.json` cannot be used.
    case badTokenizer(FilePath, reason: String)
    /// A request does not fit the model: a prompt without `<image>`, or one longer than the context.
    case badRequest(String)
    /// There is no GPU to compute on.
    case noDevice(reason: String)
    /// The GPU's driver reports a failure; `isMemory` where there was too little memory.
    case deviceFailed(reason: String, isMemory: Bool)
    /// The caller asked to stop.
    case cancelled

    package var description: String {
        switch self {
        case .unreadableFile(let path, let reason):
            "Cannot read \(path): \(reason). Check the model directory, or fetch the model again with `quire model pull`."
        case .unfinishedModel(let directory):
            "\(directory) may hold files of two models: a change to another commit has begun there and not ended. "
                + "Wait for it, or give the same `quire model pull` again."
        case .badConfiguration(let path, let reason):
            "\(path) cannot be used: \(reason)."
        case .badTensors(let path, let problems):
            "The weights in \(path) do not fit its config.json:\n  " + problems.joined(separator: "\n  ")
                + "\nFetch the model again with `quire model pull`, or check it with `quire model verify`."
        case .badTokenizer(let path, let reason):
            "The tokenizer \(path) cannot be used: \(reason)."
        case .badRequest(let reason):
            reason
        case .noDevice(let reason):
            "No GPU can be used: \(reason)."
        case .deviceFailed(let reason, let isMemory):
            isMemory
                ? "The GPU has too little free memory: end other programs on it, or give fewer pages together (--memory)."
                : "The GPU failed: \(reason). Start again; if it happens again, look at the system's log."
        case .cancelled:
            "Recognition was cancelled."
        }
    }
}
