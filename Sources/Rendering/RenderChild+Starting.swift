private import Glibc
import SystemPackage

extension RenderChild {
    /// Starts a child on a document and waits until it says that the document is open.
    static func opening(
        _ document: borrowing DocumentFile, with executable: FilePath, _ request: RenderRequest
    ) throws(RenderError) -> (child: RenderChild, opened: FrameHeader) {
        var request = request
        request.hasPassword = document.hasPassword
        let child = try RenderChild(
            executable, request, input: document.source.descriptor, password: try document.passwordPipe())
        let message = try child.next { _ in nil }
        guard message.header.status == .opened else { throw child.error(of: message) }
        return (child, message.header)
    }

    /// Throws unless a child draws text in a font of this machine.
    static func selfTest(_ executable: FilePath, limits: RenderLimits) throws(RenderError) {
        let request = RenderRequest(.selfTest, limits: limits, parent: getpid())
        let child = try RenderChild(executable, request, input: try .null(), password: try .null())
        let message = try child.next { _ in nil }
        guard message.header.status == .opened else { throw child.error(of: message) }
    }
}
