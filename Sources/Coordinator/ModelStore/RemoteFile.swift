internal import Inference

/// A file of a repository, as the listing describes it.
package struct RemoteFile: Sendable, Hashable {
    /// What identifies a file's content.
    package enum Digest: Sendable, Hashable {
        /// SHA-256 of a large file, 64 hexadecimal digits.
        case sha256(String)
        /// Git's SHA-1 of a small file, 40 hexadecimal digits.
        case gitBlob(String)

        /// The hexadecimal digits.
        package var hex: String {
            switch self {
            case .sha256(let hex), .gitBlob(let hex): hex
            }
        }
    }

    /// Says which file of weights holds which tensor.
    static let indexName = "model.safetensors.index.json"

    package let name: String
    /// Bytes.
    package let size: Int64
    package let digest: Digest

    /// The files that a model needs, out of a listing in Hugging Face's form.
    ///
    /// `url` says where the listing came from, for messages.
    ///
    /// - Throws: `badAnswer` for anything that is not such a listing, `notAModel` where needed files are missing.
    static func needed(inListing bytes: [UInt8], url: String) throws(ModelStoreError) -> [RemoteFile] {
        let document: JSONValue
        do {
            document = try JSONValue(parsing: bytes)
        } catch {
            throw .badAnswer(url: url, reason: "it is \(error)")
        }
        guard let entries = document.elements else { throw .badAnswer(url: url, reason: "it is not a list of files") }
        var files: [RemoteFile] = []
        for entry in entries where entry["type"]?.text == "file" {
            guard let name = entry["path"]?.text else {
                throw .badAnswer(url: url, reason: "a file in the list has no name")
            }
            // One hostile name makes the whole listing suspect, even if that file is not needed.
            guard name.split(separator: "/", omittingEmptySubsequences: false).allSatisfy({ isSafe($0) }) else {
                throw .badAnswer(url: url, reason: "it lists a file \(name.debugDescription), which is no file name")
            }
            guard isNeeded(name) else { continue }
            guard !files.contains(where: { $0.name == name }) else {
                throw .badAnswer(url: url, reason: "it lists \(name) twice")
            }
            files.append(try RemoteFile(entry, name: name, url: url))
        }
        for name in ["config.json", "tokenizer.json"] where !files.contains(where: { $0.name == name }) {
            throw .notAModel(url: url, reason: "there is no \(name)")
        }
        guard files.contains(where: { $0.name.hasSuffix(".safetensors") }) else {
            throw .notAModel(url: url, reason: "there is no file of weights (.safetensors)")
        }
        // Small files first: whatever is wrong with them shows before hours of weights.
        return files.sorted { ($0.size, $0.name) < ($1.size, $1.name) }
    }

    /// The name under which the file arrives; it holds the beginning of the digest.
    var partName: String { "\(name).\(digest.hex.prefix(12)).part" }

    /// The file that something of that name is a part of; nil where the name is no part's.
    static func name(ofPart part: String) -> String? {
        let pieces = part.split(separator: ".", omittingEmptySubsequences: false)
        guard pieces.count > 2, pieces[pieces.count - 1] == "part", pieces[pieces.count - 2].utf8.count == 12,
            pieces[pieces.count - 2].allSatisfy(\.isHexDigit)
        else { return nil }
        return pieces.dropLast(2).joined(separator: ".")
    }

    private init(_ entry: JSONValue, name: String, url: String) throws(ModelStoreError) {
        let large = entry["lfs"]
        guard let size = (large?["size"] ?? entry["size"])?.integer, size >= 0 else {
            throw .badAnswer(url: url, reason: "it does not say how large \(name) is")
        }
        self.name = name
        self.size = Int64(size)
        if let hex = large?["oid"]?.text {
            guard let digits = Self.digits(hex, count: 64) else {
                throw .badAnswer(url: url, reason: "the digest of \(name) is not a SHA-256")
            }
            digest = .sha256(digits)
        } else {
            guard let digits = entry["oid"]?.text.flatMap({ Self.digits($0, count: 40) }) else {
                throw .badAnswer(url: url, reason: "it does not say what digest \(name) has")
            }
            digest = .gitBlob(digits)
        }
    }

    private static func digits(_ text: String, count: Int) -> String? {
        let text = (text.hasPrefix("sha256:") ? String(text.dropFirst(7)) : text).lowercased()
        return text.utf8.count == count && text.utf8.allSatisfy { "0123456789abcdef".utf8.contains($0) } ? text : nil
    }

    /// Whether a name, or one part of a path, stays within the folder that files are put into.
    private static func isSafe(_ name: Substring) -> Bool {
        !name.isEmpty && name.utf8.count <= 200 && name != "." && name != ".."
            && name.unicodeScalars.allSatisfy { scalar in
                scalar.value >= 0x20 && scalar.value != 0x7F && scalar != "\\"
            }
    }

    /// Whether Quire uses the file, or a licence asks that it goes along.
    static func isNeeded(_ name: String) -> Bool {
        let wanted = [
            "config.json", "tokenizer.json", "tokenizer_config.json", indexName, "LICENSE",
            "README.md",
        ]
        return wanted.contains(name) || (name.hasSuffix(".safetensors") && !name.contains("/"))
    }
}
