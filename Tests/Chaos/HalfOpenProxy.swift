import Dispatch
import Glibc
import Synchronization

/// Forwards TCP connections to a port of this machine, until it falls silent: then both sides stay connected to nobody.
final class HalfOpenProxy: Sendable {
    /// One connection that passes through.
    private final class Link: Sendable {
        let client: Int32
        let server: Int32
        let isFrozen = Atomic<Bool>(false)
        /// Directions that are still pumped.
        let open = Atomic<Int>(2)

        init(client: Int32, server: Int32) {
            self.client = client
            self.server = server
        }
    }

    let port: UInt16
    private let listener: Int32
    private let links = Mutex<[Link]>([])
    private let isClosed = Atomic<Bool>(false)

    init(to target: UInt16) throws {
        (listener, port) = try TCPSocket.listen()
        let listener = listener
        // A thread of its own, as accepting blocks.
        DispatchQueue(label: "half-open-proxy").async { [weak self] in
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { return }
                guard let self, case let server = TCPSocket.connect(port: target), server >= 0 else {
                    Glibc.close(client)
                    continue
                }
                let link = Link(client: client, server: server)
                self.links.withLock { $0.append(link) }
                self.pump(link, from: client, to: server)
                self.pump(link, from: server, to: client)
            }
        }
    }

    /// Stops forwarding on all connections that there are, and closes none; later ones are not concerned.
    ///
    /// Returns how many there were.
    func freeze() -> Int {
        links.withLock { links in
            let live = links.filter { !$0.isFrozen.load(ordering: .relaxed) && $0.open.load(ordering: .relaxed) == 2 }
            for link in live { link.isFrozen.store(true, ordering: .relaxed) }
            return live.count
        }
    }

    /// Closes everything, frozen connections too.
    func close() {
        isClosed.store(true, ordering: .relaxed)
        shutdown(listener, Int32(SHUT_RDWR))
        Glibc.close(listener)
    }

    private func pump(_ link: Link, from source: Int32, to target: Int32) {
        DispatchQueue(label: "half-open-proxy.link").async { [self] in
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while !isClosed.load(ordering: .relaxed) {
                guard !link.isFrozen.load(ordering: .relaxed) else {
                    usleep(50_000)
                    continue
                }
                var descriptor = pollfd(fd: source, events: Int16(POLLIN), revents: 0)
                guard poll(&descriptor, 1, 100) > 0 else { continue }
                let count = recv(source, &buffer, buffer.count, 0)
                // What has come when silence falls is lost.
                guard !link.isFrozen.load(ordering: .relaxed) else { continue }
                guard count > 0, Self.send(buffer[..<count], to: target) else { break }
            }
            shutdown(target, Int32(SHUT_WR))
            if link.open.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
                Glibc.close(source)
                Glibc.close(target)
                links.withLock { $0.removeAll { $0 === link } }
            }
        }
    }

    private static func send(_ bytes: ArraySlice<UInt8>, to target: Int32) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(target, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}
