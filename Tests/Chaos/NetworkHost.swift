import Glibc
import TestSupport

/// A host of its own on this machine: a network namespace, joined to this one by a link that can be dropped.
///
/// Needs root and the right to make namespaces.
package final class NetworkHost: Sendable {
    let name: String
    /// This side's address, on which the database listens.
    let serverAddress: String
    /// Who may connect, as pg_hba.conf has it.
    let network: String
    private let link: String

    package init() async throws {
        let number = Int(getpid()) % 60_000
        name = "quire-\(number)"
        link = "quire-h\(number)"
        let net = "10.\(200 + number % 50).\(number / 50 % 250)"
        serverAddress = "\(net).1"
        network = "\(net).0/24"
        try await Shell.run(
            """
            ip netns add "$1"
            ip link add "$2" type veth peer name eth0 netns "$1" || { ip netns del "$1"; exit 1; }
            ip addr add "$3.1/24" dev "$2"
            ip link set "$2" up
            ip -n "$1" addr add "$3.2/24" dev eth0
            ip -n "$1" link set eth0 up
            ip -n "$1" link set lo up
            """, name, link, net)
    }

    /// Nil where this machine, or this user, has no network namespaces.
    package static func ifPossible() async -> NetworkHost? { try? await NetworkHost() }

    /// Nothing gets through from now on, in silence; or it does again.
    func setLink(up: Bool) async throws {
        // On the other host nothing is amiss but that its packets stay without an answer.
        try await Shell.run("ip link set \"$1\" \"$2\"", link, up ? "up" : "down")
    }

    package func remove() async { _ = try? await Shell.run("ip netns del \"$1\"", name) }
}
