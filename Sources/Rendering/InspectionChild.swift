private import CProcess
private import Glibc
import SystemPackage

/// A running `quire-render` that counts the pages of one document after the other.
///
/// `@unchecked Sendable`: used by one call at a time; `DocumentInspector` hands it out and takes it back under a lock.
final class InspectionChild: @unchecked Sendable {
    private let child: RenderChild
    private let socket: Descriptor
    /// Address space before the first document.
    private let initialBytes: Int
    /// How many documents it has answered for.
    private(set) var served = 0
    /// Whether it should see no further document.
    private(set) var isSpent = false

    /// So many documents at most, so that what one leaves behind ends some time.
    static let mostServed = 1000
    /// A child that keeps more than this of its documents is replaced; libraries set up at first use take 1 to 2 MB.
    private static let mostKept = 16 << 20

    /// Starts a child and waits until its limits are in force.
    init(_ executable: FilePath, limits: RenderLimits) throws(RenderError) {
        let sockets = try SocketPair()
        let child = try RenderChild(
            executable, RenderRequest(.inspect, limits: limits, parent: getpid()), input: sockets.theirs,
            password: try .null())
        let message = try child.next { _ in nil }
        guard message.header.status == .opened, message.header.number == 0 else { throw child.error(of: message) }
        self.child = child
        socket = sockets.takeOurs()
        initialBytes = child.process.addressSpace ?? 0
    }

    /// What the child says of a document; after an error it is spent.
    func opened(_ document: borrowing DocumentFile) throws(RenderError) -> (header: FrameHeader, notes: [RenderNote]) {
        // Spent unless all goes well.
        isSpent = true
        child.forgetNoise()
        try send(document)
        let message = try child.next { _ in nil }
        guard message.header.status == .opened else { throw child.error(of: message) }
        served += 1
        let kept = (child.process.addressSpace ?? .max) - initialBytes
        isSpent = served >= Self.mostServed || kept > Self.mostKept
        return (message.header, child.takeNotes())
    }

    private func send(_ document: borrowing DocumentFile) throws(RenderError) {
        let failure: Int32
        if document.hasPassword {
            let password = try document.passwordPipe()
            failure = Self.send([document.source.descriptor.raw, password.raw], through: socket.raw)
        } else {
            failure = Self.send([document.source.descriptor.raw], through: socket.raw)
        }
        // Where nobody is left to take it, the child's end says why.
        guard [0, EPIPE, ECONNRESET].contains(failure) else {
            errno = failure
            throw RenderError(lastErrorDuring: "hand over a document")
        }
    }

    /// 0, or the system's error number.
    private static func send(_ descriptors: [Int32], through socket: Int32) -> Int32 {
        quire_send_descriptors(socket, descriptors, Int32(descriptors.count)) == 0 ? 0 : errno
    }
}
