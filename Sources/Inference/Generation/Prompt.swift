/// The prompt's text and images as token ids (MODEL.md section 4).
package enum Prompt {
    /// What stands for one image in the prompt's text.
    package static let placeholder = "<image>"

    /// The id of BOS, then the stripped prompt with each `<image>` replaced by that image's run of image tokens.
    ///
    /// `tokenCounts` are `PreparedImage.tokenCount` of each image in order, `imageToken` the id of every image position.
    /// Throws `badRequest` unless the prompt has one `<image>` for each image.
    package static func ids(
        _ prompt: String, tokenCounts: [Int], tokenizer: Tokenizer, bos: Int32, imageToken: Int32
    ) throws(InferenceError) -> [Int32] {
        let text = ByteText.stripped(Array(prompt.utf8))
        let parts = ByteText.split(text, at: Array(placeholder.utf8))
        guard parts.count == tokenCounts.count + 1 else {
            throw .badRequest(
                "The prompt has \(parts.count - 1) \(placeholder) for \(tokenCounts.count) images: "
                    + "write \(placeholder) once for each image.")
        }
        var ids = [bos] + tokenizer.encode(bytes: parts[0])
        for (count, part) in zip(tokenCounts, parts.dropFirst()) {
            ids.append(contentsOf: repeatElement(imageToken, count: count))
            ids.append(contentsOf: tokenizer.encode(bytes: part))
        }
        return ids
    }
}
