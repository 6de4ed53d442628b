private import CProcess
private import Glibc
import Rendering

/// Counts the pages of documents, one after the other, as they come through the socket.
struct Inspection {
    private let limits: RenderLimits
    private let output: Output

    init(_ request: RenderRequest, output: Output) {
        limits = request.limits
        self.output = output
    }

    /// Says that the limits are in force, then answers each document with one message until the parent closes its end.
    ///
    /// A parser that cannot go on may end the process from within; the parent then starts another.
    func run() throws(RenderError) {
        output.send(FrameHeader(status: .opened, number: 0, payloadBytes: 0))
        while true {
            var received: [Int32] = [-1, -1, -1, -1]
            let count = quire_receive_descriptors(RenderRequest.documentDescriptor, &received)
            guard count >= 0 else {
                throw RenderError(
                    .broken, "quire-render was not handed a document (\(String(cString: strerror(errno)))).")
            }
            guard count > 0 else { return }
            InputFile.forgetFailure()
            Confinement.allowProcessorSeconds(limits.wholeSecondsPerPage)
            do throws(RenderError) {
                // The document is closed before the answer is sent: what is still in use then stays in use.
                let (opened, notes) = try summary(document: received[0], password: count > 1 ? received[1] : nil)
                output.send(notes, number: 0)
                output.send(opened)
            } catch {
                output.send(InputFile.cause(of: error), number: 0)
            }
            for descriptor in received.prefix(Int(count)) { close(descriptor) }
        }
    }

    /// The message that the document is open, and what is to be said of it before.
    private func summary(document: Int32, password: Int32?) throws(RenderError) -> (FrameHeader, [RenderNote]) {
        let input = InputFile(descriptor: document)
        let format = try input.format()
        let document = try MainRenderer.openDocument(
            input, format, password: password, limits: limits, output, listsAttachments: true)
        try InputFile.checkAllRead()
        return (MainRenderer.opened(document, format), document.notes)
    }
}
