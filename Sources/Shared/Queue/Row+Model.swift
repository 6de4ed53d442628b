internal import Digest
private import FoundationEssentials
private import SystemPackage

extension Row {
    /// The next two columns: a root and a path.
    mutating func location() throws(DatabaseError) -> SourceLocation {
        let root = try text()
        return SourceLocation(root: root, path: FilePath(bytes: try bytes()))
    }

    /// The next seven columns: the fields of a pipeline, in their order.
    mutating func pipeline() throws(DatabaseError) -> Pipeline {
        let (digest, mode, prompt) = (try text(), try text(), try text())
        let (tokens, dpi) = (try int(), try int())
        return Pipeline(
            modelDigest: digest, mode: mode, prompt: prompt, maxNewTokens: tokens, pdfDPI: dpi,
            engineVersion: try text(), precision: try text())
    }

    /// The next column: notes as the text of their JSON, or NULL.
    mutating func notes() throws(DatabaseError) -> [PageNote] {
        guard let text = try optionalText() else { return [] }
        guard let notes = try? JSONDecoder().decode([PageNote].self, from: Data(text.utf8)) else {
            throw .unexpectedAnswer(reason: "notes that cannot be read.")
        }
        return notes
    }

    /// The next column: a SHA-256 digest.
    mutating func digest() throws(DatabaseError) -> SHA256Digest {
        let bytes = try bytes()
        guard let digest = SHA256Digest(bytes: bytes) else {
            throw .unexpectedAnswer(reason: "a digest of \(bytes.count) bytes.")
        }
        return digest
    }
}
