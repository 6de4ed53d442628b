private import Foundation
private import FoundationNetworking
private import Synchronization

/// Sends GET requests; the only file of Quire with the whole of Foundation.
///
/// URLSession hands bytes on as fast as they arrive, however slow the disk is: memory is bounded by what one request asks
/// for, so large files are asked for in windows.
final class HTTPClient: Sendable {
    private let session: URLSession
    private let receiver = Receiver()

    init(userAgent: String) {
        let configuration = URLSessionConfiguration.ephemeral
        configuration.timeoutIntervalForRequest = 60
        configuration.requestCachePolicy = .reloadIgnoringLocalCacheData
        configuration.urlCache = nil
        configuration.httpCookieStorage = nil
        // Compressed answers would not match the ranges asked for.
        configuration.httpAdditionalHeaders = ["User-Agent": userAgent, "Accept-Encoding": "identity"]
        let queue = OperationQueue()
        queue.maxConcurrentOperationCount = 1
        session = URLSession(configuration: configuration, delegate: receiver, delegateQueue: queue)
    }

    deinit { session.invalidateAndCancel() }

    /// Sends one request and gives the answer to the sink.
    ///
    /// - Returns: The head; a redirection is not followed.
    func get(_ request: HTTPRequest, into sink: any HTTPSink) async throws(ModelStoreError) -> HTTPHead {
        guard let url = URL(string: request.url), ["http", "https"].contains(url.scheme), url.host != nil else {
            throw .badAnswer(url: request.url, reason: "it is no address on the web")
        }
        var message = URLRequest(url: url)
        if let range = request.range {
            message.setValue("bytes=\(range.lowerBound)-\(range.upperBound - 1)", forHTTPHeaderField: "Range")
        }
        if let token = request.token { message.setValue("Bearer \(token)", forHTTPHeaderField: "Authorization") }
        let task = session.dataTask(with: message)
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                receiver.add(
                    Exchange(url: request.url, sink: sink, continuation: continuation), for: task.taskIdentifier)
                task.resume()
            }
        } onCancel: {
            task.cancel()
        }
        return try result.get()
    }
}

private struct Exchange: Sendable {
    let url: String
    let sink: any HTTPSink
    let continuation: CheckedContinuation<Result<HTTPHead, ModelStoreError>, Never>
    var head: HTTPHead?
    var failure: ModelStoreError?

    init(
        url: String, sink: any HTTPSink,
        continuation: CheckedContinuation<Result<HTTPHead, ModelStoreError>, Never>
    ) {
        self.url = url
        self.sink = sink
        self.continuation = continuation
    }
}

/// `@unchecked Sendable`: its only state is behind a lock; NSObject keeps the compiler from seeing that.
private final class Receiver: NSObject, URLSessionDataDelegate, @unchecked Sendable {
    private let exchanges = Mutex<[Int: Exchange]>([:])

    func add(_ exchange: Exchange, for task: Int) { exchanges.withLock { $0[task] = exchange } }

    private func exchange(_ task: URLSessionTask) -> Exchange? { exchanges.withLock { $0[task.taskIdentifier] } }

    private func fail(_ task: URLSessionTask, _ error: ModelStoreError) {
        exchanges.withLock { $0[task.taskIdentifier]?.failure = error }
        task.cancel()
    }

    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse,
        newRequest request: URLRequest, completionHandler: @escaping @Sendable (URLRequest?) -> Void
    ) {
        begin(task, response)
        completionHandler(nil)
    }

    func urlSession(
        _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
        completionHandler: @escaping @Sendable (URLSession.ResponseDisposition) -> Void
    ) {
        begin(dataTask, response)
        completionHandler(exchange(dataTask)?.failure == nil ? .allow : .cancel)
    }

    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
        guard let exchange = exchange(dataTask), exchange.failure == nil, exchange.head?.isRedirection == false else {
            return
        }
        do throws(ModelStoreError) {
            try data.withUnsafeBytes { bytes in
                Result { () throws(ModelStoreError) in try exchange.sink.receive(bytes) }
            }.get()
        } catch {
            fail(dataTask, error)
        }
    }

    func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
        guard let exchange = exchanges.withLock({ $0.removeValue(forKey: task.taskIdentifier) }) else { return }
        let result: Result<HTTPHead, ModelStoreError> =
            if let failure = exchange.failure {
                .failure(failure)
            } else if let head = exchange.head, error == nil || head.isRedirection {
                .success(head)
            } else {
                .failure(Self.failure(error, url: exchange.url, hasBegun: exchange.head != nil))
            }
        exchange.continuation.resume(returning: result)
    }

    private func begin(_ task: URLSessionTask, _ response: URLResponse) {
        guard let exchange = exchange(task), exchange.head == nil else { return }
        guard let response = response as? HTTPURLResponse else {
            return fail(task, .badAnswer(url: exchange.url, reason: "it is not HTTP"))
        }
        let head = HTTPHead(response, url: exchange.url)
        exchanges.withLock { $0[task.taskIdentifier]?.head = head }
        guard !head.isRedirection else { return }
        do throws(ModelStoreError) {
            try exchange.sink.begin(head)
        } catch {
            fail(task, error)
        }
    }

    private static func failure(_ error: (any Error)?, url: String, hasBegun: Bool) -> ModelStoreError {
        guard let error = error as? URLError else {
            return .broken(url: url, reason: error.map { "\($0)" } ?? "there was no answer")
        }
        let reason = error.localizedDescription
        switch error.code {
        case .cancelled: return .cancelled
        case .cannotFindHost, .dnsLookupFailed, .cannotConnectToHost, .notConnectedToInternet:
            return hasBegun ? .broken(url: url, reason: reason) : .unreachable(url: url, reason: reason)
        case .secureConnectionFailed, .serverCertificateUntrusted, .serverCertificateHasBadDate,
            .serverCertificateHasUnknownRoot, .serverCertificateNotYetValid,
            .appTransportSecurityRequiresSecureConnection:
            return .insecure(url: url, reason: reason)
        default: return .broken(url: url, reason: reason)
        }
    }
}

extension HTTPHead {
    fileprivate init(_ response: HTTPURLResponse, url: String) {
        self.init(
            url: url, status: response.statusCode,
            contentLength: response.value(forHTTPHeaderField: "Content-Length").flatMap { Int64($0) },
            contentRange: response.value(forHTTPHeaderField: "Content-Range").flatMap { ContentRange($0) },
            location: response.value(forHTTPHeaderField: "Location"),
            retrySeconds: response.value(forHTTPHeaderField: "Retry-After").flatMap { Double($0) })
    }
}
