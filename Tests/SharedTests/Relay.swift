import Dispatch
import Shared
import Synchronization
import SystemPackage
import TestSupport

#if canImport(Glibc)
    import Glibc
#endif

/// Stands between a program and the server's socket, and loses what it is told to lose.
final class Relay: Sendable {
    enum Mode: Int, Sendable {
        case open
        /// What the server answers is lost, and the connection stays: half open.
        case losesAnswers
        /// Nothing goes either way, and the connection stays.
        case frozen
    }

    let connectionString: String
    private let directory: TemporaryDirectory
    private let listener: Int32
    private let mode = Atomic<Int>(Mode.open.rawValue)
    private let open = Mutex<[Int32]>([])

    /// `direct` is the connection string of a database of the tests' server.
    init(before direct: String) async throws {
        let database = Database(connectionString: direct)
        var rows = try await database.query(
            "SELECT current_setting('data_directory') || '/' || current_setting('unix_socket_directories'), current_database()::text"
        )
        let (socket, name) = (try rows[0].text(), try rows[0].text())
        await database.close()
        directory = try TemporaryDirectory(prefix: "quire-relay")
        listener = try Self.socket("\(directory.path)/.s.PGSQL.5432") { bind($0, $1, $2) }
        guard listen(listener, 20) == 0 else { throw Errno(rawValue: errno) }
        connectionString = "host=\(directory.path) port=5432 dbname=\(name) user=quire"
        let listener = listener
        DispatchQueue(label: "relay").async { [weak self] in
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { return }
                guard let self, let server = try? Self.socket("\(socket)/.s.PGSQL.5432", connect) else {
                    close(client)
                    return
                }
                self.open.withLock { $0 += [client, server] }
                self.pump(from: client, to: server, isAnswer: false)
                self.pump(from: server, to: client, isAnswer: true)
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        cut()
    }

    func become(_ mode: Mode) { self.mode.store(mode.rawValue, ordering: .releasing) }

    /// Ends all connections that are open now.
    func cut() {
        for descriptor in open.withLock({ $0 }) { shutdown(descriptor, Int32(SHUT_RDWR)) }
    }

    /// How many connections were made until now.
    var connections: Int { open.withLock { $0.count / 2 } }

    /// Copies bytes until either side ends; a thread of its own, as it blocks.
    private func pump(from source: Int32, to target: Int32, isAnswer: Bool) {
        DispatchQueue(label: "relay-\(source)").async { [weak self] in
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = recv(source, &buffer, buffer.count, 0)
                guard count > 0 else { break }
                let mode = self?.mode.load(ordering: .acquiring)
                guard mode != Mode.frozen.rawValue, !(isAnswer && mode == Mode.losesAnswers.rawValue) else { continue }
                var sent = 0
                while sent < count {
                    let written = buffer[sent..<count].withUnsafeBytes {
                        send(target, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                    }
                    guard written > 0 else { break }
                    sent += written
                }
            }
            shutdown(target, Int32(SHUT_RDWR))
        }
    }

    private static func socket(
        _ path: String, _ use: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws -> Int32 {
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Errno(rawValue: errno) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                use(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let error = Errno(rawValue: errno)
            close(descriptor)
            throw error
        }
        return descriptor
    }
}
