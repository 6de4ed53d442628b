private import Glibc
import Rendering

/// The parent's end: messages of a fixed head and a payload.
struct Output {
    private let descriptor: Int32

    /// Keeps standard output for messages and sends whatever a library prints there to the error output.
    static func takingStandardOutput() -> Output {
        let kept = fcntl(1, F_DUPFD_CLOEXEC, 16)
        guard kept >= 0, dup2(2, 1) == 1 else { _exit(1) }
        return Output(descriptor: kept)
    }

    /// A message without payload.
    func send(_ header: FrameHeader) {
        header.bytes.withUnsafeBytes { write($0) }
    }

    /// A message with bytes that are as long as its head says.
    func send(_ header: FrameHeader, _ payload: UnsafeRawBufferPointer) {
        send(header)
        write(payload)
    }

    /// A page's pixels.
    func send(_ image: borrowing PixelBuffer, page: Int, microseconds: UInt64) {
        let header = FrameHeader(
            status: .image, number: page, width: image.width, height: image.height, dpi: image.dpi,
            microseconds: microseconds, payloadBytes: image.byteCount)
        send(header, UnsafeRawBufferPointer(start: image.bytes, count: image.byteCount))
    }

    /// Notes on a page, or with number 0 on the document; before its image or the message that it is open.
    func send(_ notes: [RenderNote], number: Int) {
        for note in notes {
            note.payload.withUnsafeBytes {
                send(FrameHeader(status: .note, number: number, payloadBytes: $0.count), $0)
            }
        }
    }

    /// Why there is no page, or with number 0 no document.
    func send(_ error: RenderError, number: Int, microseconds: UInt64 = 0) {
        Array(error.message.utf8).withUnsafeBytes { sentence in
            let header = FrameHeader(
                status: FrameHeader.Status(error.kind), number: number, microseconds: microseconds,
                payloadBytes: sentence.count)
            send(header, sentence)
        }
    }

    private func write(_ bytes: UnsafeRawBufferPointer) {
        var written = 0
        while written < bytes.count {
            let count = Glibc.write(descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written)
            if count >= 0 {
                written += count
            } else if errno != EINTR {
                // Nobody listens any more.
                _exit(1)
            }
        }
    }
}
