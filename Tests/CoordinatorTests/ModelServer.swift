import Dispatch
import Glibc
import Synchronization

/// A small HTTP server on 127.0.0.1 that answers as a test wants and remembers what it was asked.
final class ModelServer: Sendable {
    struct Request: Sendable {
        var target: String
        /// By lower-case name.
        var headers: [String: String]

        /// The path without the query.
        var path: String { String(target.prefix { $0 != "?" }) }

        /// The first and last byte asked for.
        var range: ClosedRange<Int>? {
            guard let text = headers["range"], text.hasPrefix("bytes=") else { return nil }
            let bounds = text.dropFirst(6).split(separator: "-").compactMap { Int($0) }
            return bounds.count == 2 && bounds[0] <= bounds[1] ? bounds[0]...bounds[1] : nil
        }
    }

    struct Answer: Sendable {
        var status = 200
        var headers: [String: String] = [:]
        var body: [UInt8] = []
        /// Close the connection after so many bytes of the body.
        var cutAfter: Int?
    }

    private let listener: Int32
    private let handler: @Sendable (Request) -> Answer
    private let log = Mutex<[Request]>([])
    let port: UInt16

    init(_ handler: @escaping @Sendable (Request) -> Answer) throws {
        self.handler = handler
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(listener, address, length) == 0 && listen(listener, 16) == 0
                    && getsockname(listener, address, &length) == 0
            }
        }
        guard bound else { throw ServerFailure(errno: errno) }
        port = UInt16(bigEndian: address.sin_port)
        self.listener = listener
        // Ends when `deinit` closes the listener.
        DispatchQueue(label: "model-server").async { [weak self] in
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { return }
                guard let self else {
                    close(connection)
                    return
                }
                self.serve(connection)
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    struct ServerFailure: Error {
        var errno: Int32
    }

    var url: String { "http://127.0.0.1:\(port)" }

    var requests: [Request] { log.withLock { $0 } }

    /// The requests for a path's last component.
    func requests(for file: String) -> [Request] { requests.filter { $0.path.hasSuffix("/\(file)") } }

    private func serve(_ connection: Int32) {
        DispatchQueue(label: "model-server-connection").async {
            defer { close(connection) }
            guard let request = Self.read(connection) else { return }
            self.log.withLock { $0.append(request) }
            let answer = self.handler(request)
            var head = "HTTP/1.1 \(answer.status) Test\r\nConnection: close\r\n"
            var headers = answer.headers
            headers["Content-Length"] = headers["Content-Length"] ?? "\(answer.body.count)"
            for (name, value) in headers where !value.isEmpty { head += "\(name): \(value)\r\n" }
            let body = answer.cutAfter.map { answer.body.prefix($0) } ?? answer.body[...]
            Self.write(connection, Array((head + "\r\n").utf8) + body)
            if answer.cutAfter == nil { shutdown(connection, Int32(SHUT_WR)) }
        }
    }

    private static func read(_ connection: Int32) -> Request? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while !bytes.suffix(4).elementsEqual("\r\n\r\n".utf8) {
            let count = recv(connection, &buffer, buffer.count, 0)
            guard count > 0 else { return nil }
            bytes += buffer.prefix(count)
        }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\r\n").map(String.init)
        let words = lines.first?.split(separator: " ") ?? []
        guard words.count == 3, words[0] == "GET" else { return nil }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let halves = line.split(separator: ":", maxSplits: 1).map(String.init)
            if halves.count == 2 { headers[halves[0].lowercased()] = String(halves[1].drop { $0 == " " }) }
        }
        return Request(target: String(words[1]), headers: headers)
    }

    private static func write(_ connection: Int32, _ bytes: [UInt8]) {
        bytes.withUnsafeBytes { buffer in
            var sent = 0
            while sent < buffer.count {
                let rest = UnsafeRawBufferPointer(rebasing: buffer[sent...])
                let count = send(connection, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
                guard count > 0 else { return }
                sent += count
            }
        }
    }
}
