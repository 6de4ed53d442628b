/// One GET request.
struct HTTPRequest: Sendable {
    var url: String
    /// The bytes wanted; nil for all.
    var range: Range<Int64>?
    /// Sent as `Authorization: Bearer`.
    var token: String?
}

/// What comes before an answer's body.
struct HTTPHead: Sendable {
    var url: String
    var status: Int
    var contentLength: Int64?
    var contentRange: ContentRange?
    /// Where a redirection leads, as the server wrote it.
    var location: String?
    /// The server's `Retry-After` in seconds.
    var retrySeconds: Double?

    var isRedirection: Bool { [301, 302, 303, 307, 308].contains(status) }
}

/// The header `Content-Range: bytes 5-9/10`.
struct ContentRange: Sendable, Equatable {
    var range: Range<Int64>
    /// Nil where the server does not say how long the file is.
    var total: Int64?

    init?(_ header: String) {
        let words = header.split(separator: " ")
        guard words.count == 2, words[0].lowercased() == "bytes" else { return nil }
        let halves = words[1].split(separator: "/")
        let bounds = halves.first?.split(separator: "-") ?? []
        guard halves.count == 2, bounds.count == 2, let first = Int64(bounds[0]), let last = Int64(bounds[1]),
            0 <= first, first <= last, last < .max
        else { return nil }
        range = first..<last + 1
        if halves[1] != "*" {
            guard let total = Int64(halves[1]), total > last else { return nil }
            self.total = total
        }
    }
}

/// Takes an answer; its calls come one after the other.
protocol HTTPSink: AnyObject, Sendable {
    /// Looks at the head; an error ends the exchange. Not called for redirections.
    func begin(_ head: HTTPHead) throws(ModelStoreError)
    func receive(_ bytes: UnsafeRawBufferPointer) throws(ModelStoreError)
}
