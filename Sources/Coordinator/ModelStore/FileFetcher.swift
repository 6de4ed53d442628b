internal import Inference
internal import SystemPackage

/// Fetches single files of a repository, as often as it takes.
struct FileFetcher: Sendable {
    /// How patient a fetch is.
    package struct Patience: Sendable {
        /// Attempts without a new byte before giving up.
        package var attempts = 6
        /// Seconds before the second attempt; doubled each time.
        package var firstPause = 1.0
        package var longestPause = 60.0
    }

    let client: HTTPClient
    var repository: ModelRepository
    let token: String?
    let progress: PullProgress
    var patience = Patience()
    /// The most bytes asked for in one request, and so the most held in memory.
    var window: Int64 = 128 << 20

    /// The commit that the revision is now; nil where the server does not tell commits, as mirrors may not.
    func commit() async throws(ModelStoreError) -> String? {
        let url = repository.commitURL
        let bytes: [UInt8]
        do throws(ModelStoreError) {
            bytes = try await text(url)
        } catch .status(404, _, _) {
            return nil
        }
        guard let sha = (try? JSONValue(parsing: bytes))?["sha"]?.text, ModelRepository.isCommit(sha) else {
            throw .badAnswer(url: url, reason: "it does not say which commit \(repository.revision) is")
        }
        return sha
    }

    /// The files that a model needs.
    func listing() async throws(ModelStoreError) -> [RemoteFile] {
        let url = repository.listingURL
        return try RemoteFile.needed(inListing: try await text(url), url: url)
    }

    private func text(_ url: String) async throws(ModelStoreError) -> [UInt8] {
        var attempt = 1
        while true {
            do throws(ModelStoreError) {
                let sink = TextSink(url: url)
                try await exchange(url, range: nil, into: sink)
                return sink.bytes
            } catch {
                try await pause(after: error, attempt: attempt)
                attempt += 1
            }
        }
    }

    /// Fetches what is missing of a file.
    func fill(_ part: PartFile, from name: String) async throws(ModelStoreError) {
        let url = repository.fileURL(name)
        var longest = part.length
        var attempt = 1
        while part.length < part.size {
            let range = part.nextRange(window: window)
            do throws(ModelStoreError) {
                try await exchange(url, range: range == 0..<part.size ? nil : range, into: part)
                // A server without ranges may have begun anew; then the length says what arrived.
                guard part.length >= range.upperBound else {
                    throw .broken(url: url, reason: "it ended at byte \(part.length) of \(part.size)")
                }
            } catch {
                // Only new bytes count as progress: a server that always begins anew and breaks must end some time.
                if part.length > longest { attempt = 1 }
                try await pause(after: error, attempt: attempt)
                attempt += 1
            }
            longest = max(longest, part.length)
        }
    }

    /// One request with its redirections.
    private func exchange(_ url: String, range: Range<Int64>?, into sink: any HTTPSink) async throws(ModelStoreError) {
        var target = url
        for _ in 0..<10 {
            let request = HTTPRequest(
                url: target, range: range, token: repository.mayReceiveToken(target) ? token : nil)
            let head = try await client.get(request, into: sink)
            guard head.isRedirection else { return }
            target = try ModelRepository.redirection(from: target, to: head.location)
        }
        throw .badAnswer(url: url, reason: "it is redirected without end")
    }

    /// Waits before the next attempt, or throws the error where there should be none.
    private func pause(after error: ModelStoreError, attempt: Int) async throws(ModelStoreError) {
        guard error.isTransient, attempt < patience.attempts else { throw error }
        var seconds = patience.firstPause
        for _ in 1..<attempt { seconds *= 2 }
        if case .status(_, _, let wish?) = error, wish > seconds { seconds = wish }
        seconds = min(seconds, patience.longestPause)
        progress.note("\(Self.summary(error)) Trying again in \(PullProgress.duration(seconds)).")
        do {
            try await Task.sleep(for: .seconds(seconds * Double.random(in: 0.75...1.25)))
        } catch {
            throw .cancelled
        }
    }

    private static func summary(_ error: ModelStoreError) -> String {
        switch error {
        case .broken(let url, let reason): "The connection for \(url) broke: \(reason)."
        case .status(let code, let url, _): "\(url) was answered with HTTP status \(code)."
        default: error.description
        }
    }
}
