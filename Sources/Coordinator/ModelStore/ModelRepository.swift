private import FoundationEssentials

/// A repository of models in Hugging Face's layout, and the addresses of what is in it.
package struct ModelRepository: Sendable, Hashable {
    package static let defaultEndpoint = "https://huggingface.co"
    package static let defaultName = "deepseek-ai/DeepSeek-OCR"

    /// Such as `https://huggingface.co`, without a slash at the end.
    package let endpoint: String
    /// Such as `deepseek-ai/DeepSeek-OCR`.
    package let name: String
    /// A branch, a tag or a commit.
    package let revision: String

    /// Checks what was typed.
    ///
    /// - Throws: `badName`.
    package init(endpoint: String, name: String, revision: String) throws(ModelStoreError) {
        var endpoint = endpoint
        while endpoint.hasSuffix("/") { endpoint.removeLast() }
        guard let url = URL(string: endpoint), url.scheme == "https" || url.scheme == "http", url.host() != nil,
            url.query() == nil, url.fragment() == nil
        else {
            throw .badName("The endpoint '\(endpoint)' is not an address such as \(Self.defaultEndpoint).")
        }
        guard url.user() == nil, url.password() == nil else {
            throw .badName("The endpoint must not hold a name or a password; access tokens belong into HF_TOKEN.")
        }
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ Self.isPlain($0) }) else {
            throw .badName("The repository '\(name)' is not OWNER/NAME, such as \(Self.defaultName).")
        }
        guard !revision.isEmpty,
            revision.split(separator: "/", omittingEmptySubsequences: false).allSatisfy({ Self.isPlain($0) })
        else {
            throw .badName("The revision '\(revision)' is not a branch, a tag or a commit, such as main.")
        }
        self.endpoint = endpoint
        self.name = name
        self.revision = revision
    }

    /// Whether the revision names one commit for ever: 40 hexadecimal digits.
    ///
    /// Branches and tags may move.
    package var isPinned: Bool { Self.isCommit(revision) }

    /// Whether a text is a commit's full name, in lower case as servers write it.
    package static func isCommit(_ text: String) -> Bool {
        text.utf8.count == 40 && text.utf8.allSatisfy { "0123456789abcdef".utf8.contains($0) }
    }

    /// The same repository at one commit.
    func at(commit: String) -> ModelRepository {
        ModelRepository(endpoint: endpoint, name: name, pinnedTo: commit)
    }

    private init(endpoint: String, name: String, pinnedTo commit: String) {
        (self.endpoint, self.name, revision) = (endpoint, name, commit)
    }

    /// The part of the name behind the owner.
    package var shortName: String { name.split(separator: "/").last.map(String.init) ?? name }

    /// Where the server says which commit the revision is.
    var commitURL: String { "\(endpoint)/api/models/\(name)/revision/\(Self.escaped(revision))" }

    /// Where the listing of the topmost folder is.
    var listingURL: String { "\(endpoint)/api/models/\(name)/tree/\(Self.escaped(revision))?recursive=false" }

    /// Where a file of the topmost folder is.
    func fileURL(_ file: String) -> String {
        "\(endpoint)/\(name)/resolve/\(Self.escaped(revision))/\(Self.escaped(file))"
    }

    /// Whether an access token may be sent to a URL: only to the endpoint itself, not to where it redirects.
    package func mayReceiveToken(_ url: String) -> Bool {
        guard let own = URL(string: endpoint), let other = URL(string: url) else { return false }
        return Self.origin(own) == Self.origin(other)
    }

    /// Where a redirection leads.
    ///
    /// - Throws: `insecure` where it leaves HTTPS, `badAnswer` where it leads nowhere.
    package static func redirection(from url: String, to location: String?) throws(ModelStoreError) -> String {
        guard let location, let base = URL(string: url),
            let target = URL(string: location, relativeTo: base)?.absoluteURL,
            target.host() != nil
        else {
            throw .badAnswer(url: url, reason: "it is a redirection to nowhere")
        }
        if base.scheme == "https", target.scheme != "https" {
            throw .insecure(url: url, reason: "it redirects to an address without encryption")
        }
        return target.absoluteString
    }

    private static func origin(_ url: URL) -> [String?] {
        let standard = url.scheme?.lowercased() == "https" ? 443 : 80
        return [url.scheme?.lowercased(), url.host()?.lowercased(), "\(url.port ?? standard)"]
    }

    private static func isPlain(_ part: Substring) -> Bool {
        !part.isEmpty && part != "." && part != ".." && part.utf8.allSatisfy { isUnreserved($0) }
    }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            true
        default: false
        }
    }

    private static func escaped(_ text: String) -> String {
        let hex = Array("0123456789ABCDEF".utf8)
        let bytes = text.utf8.flatMap { byte in
            isUnreserved(byte) ? [byte] : [UInt8(ascii: "%"), hex[Int(byte >> 4)], hex[Int(byte & 15)]]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
