package import SystemPackage

/// How a model wants to be asked when nobody says otherwise: its directory's `quire.json`.
package struct ModelDefaults: Sendable, Equatable {
    package var mode: ResolutionMode
    package var prompt: String
    /// The most tokens to generate; nil means as many as the context holds beside the prompt.
    package var maxNewTokens: Int?

    /// The released model's defaults.
    package init(
        mode: ResolutionMode = .gundam,
        prompt: String = "<image>\n<|grounding|>Convert the document to markdown.",
        maxNewTokens: Int? = nil
    ) {
        self.mode = mode
        self.prompt = prompt
        self.maxNewTokens = maxNewTokens
    }

    /// Reads `quire.json` of a model directory; without the file the released model's defaults hold.
    ///
    /// - Throws: `badConfiguration` where the file says something else than a mode, a prompt and a limit.
    package init(directory: FilePath) throws(InferenceError) {
        self.init()
        let path = directory.appending("quire.json")
        guard MappedFile.exists(path) else { return }
        let document: JSONValue
        let bytes = try MappedFile(path).bytes()
        do {
            document = try JSONValue(parsing: bytes)
        } catch {
            throw .badConfiguration(path, reason: "it is \(error)")
        }
        guard let members = document.members else { throw .badConfiguration(path, reason: "it is not a JSON object") }
        for member in members { try apply(member, of: path) }
    }

    private mutating func apply(_ member: JSONValue.Member, of path: FilePath) throws(InferenceError) {
        switch member.key {
        case "mode":
            guard let mode = member.value.text.flatMap(ResolutionMode.init(rawValue:)) else {
                let known = ResolutionMode.allCases.map(\.rawValue).joined(separator: ", ")
                throw .badConfiguration(path, reason: "mode is none of \(known)")
            }
            self.mode = mode
        case "prompt":
            guard let prompt = member.value.text else { throw .badConfiguration(path, reason: "prompt is not a text") }
            self.prompt = prompt
        case "max_new_tokens":
            guard let limit = member.value.integer, limit > 0 else {
                throw .badConfiguration(path, reason: "max_new_tokens is not a positive whole number")
            }
            maxNewTokens = limit
        default:
            throw .badConfiguration(
                path, reason: "the key \(member.key) is not known; mode, prompt and max_new_tokens are")
        }
    }
}
