private import Glibc
import SystemPackage

/// One running `quire-render`: its messages, each with a deadline and with every number checked.
///
/// All calls block, except `process.kill()`, which may come from any thread.
final class RenderChild {
    /// A message and the bytes that follow it.
    struct Message {
        let header: FrameHeader
        let payload: [UInt8]
    }

    let process: ChildProcess
    private let limits: RenderLimits
    /// The first bytes that the child wrote to its error output since the last message.
    private var noise: [UInt8] = []
    /// Whether what was said during the last message may be about the next: a child goes on at once with the first page.
    private var keepsNoise = false
    private var errorsEnded = false
    /// What the child noted since they were last taken.
    private var notes: [RenderNote] = []
    /// Notes beyond these are a child's mistake.
    private static let mostNotes = 64
    /// For how many seconds the child had computed when it had been waited for, for a second; nil where it was faster.
    private var computed: Double?

    private static let noiseKept = 8192
    private static let longestSentence = 65_536

    private enum Interruption: Error {
        case late
        case ended
        case failed(RenderError)
    }

    init(
        _ executable: FilePath, _ request: RenderRequest, input: borrowing Descriptor, password: borrowing Descriptor
    ) throws(RenderError) {
        var request = request
        request.parent = getpid()
        limits = request.limits
        process = try ChildProcess.start(
            executable, arguments: request.arguments, input: input, password: password)
    }

    /// The next message that is no note; `expectedPayload` gives the exact length for an image head, nil to refuse the head.
    ///
    /// An error here means that this child is of no more use: it died, was late, or did not keep to the agreement.
    func next(expectedPayload: (FrameHeader) -> ClosedRange<Int>?) throws(RenderError) -> Message {
        if !keepsNoise { noise = [] }
        keepsNoise = false
        let deadline = Self.now() + Double(limits.wholeSecondsPerPage)
        computed = nil
        do throws(Interruption) {
            let header = try header(until: deadline)
            let allowed: ClosedRange<Int>? =
                switch header.status {
                case .image: expectedPayload(header)
                case .opened: 0...0
                default: 1...Self.longestSentence
                }
            guard let allowed, let length = Int(exactly: header.payloadBytes), allowed.contains(length) else {
                throw .failed(disagreement("a \(header.status) message of \(header.payloadBytes) bytes"))
            }
            keepsNoise = header.status == .opened
            return Message(header: header, payload: try read(length, until: deadline))
        } catch {
            let isKept = isKept
            process.kill()
            switch error {
            case .late:
                _ = process.wait()
                throw isKept ? keptFromComputing : tookTooLong
            case .failed(let reason): throw reason
            case .ended: throw ending()
            }
        }
    }

    /// The notes that came since the last call.
    func takeNotes() -> [RenderNote] {
        defer { notes = [] }
        return notes
    }

    /// The head of the next message that is no note; notes are kept.
    private func header(until deadline: Double) throws(Interruption) -> FrameHeader {
        while true {
            let head = try read(FrameHeader.byteCount, until: deadline)
            guard let header = FrameHeader(bytes: head) else { throw .failed(disagreement("an unknown message")) }
            guard header.status == .note else { return header }
            guard notes.count < Self.mostNotes, (1...UInt64(Self.longestSentence)).contains(header.payloadBytes),
                let note = RenderNote(payload: try read(Int(header.payloadBytes), until: deadline))
            else { throw .failed(disagreement("an unknown note")) }
            notes.append(note)
        }
    }

    /// The sentence of a message that carries an error, with what the parsers said on their error output.
    func error(of message: Message) -> RenderError {
        guard let kind = message.header.status.errorKind else { return disagreement("an image where none was due") }
        drainErrors()
        var sentence = String(decoding: message.payload, as: UTF8.self).cleaned(upTo: 600)
        if kind == .damaged, let said = ParserNoise(noise).firstLine { sentence += " The parser says: \(said)." }
        return RenderError(kind, sentence)
    }

    /// What the parsers wrote to their error output up to now, since the last message.
    func noiseSinceLastMessage() -> ParserNoise {
        drainErrors()
        return ParserNoise(noise)
    }

    /// Drops what the parsers have written so far: it belongs to another document.
    func forgetNoise() {
        drainErrors()
        noise = []
    }

    // MARK: - Ends

    private var tookTooLong: RenderError {
        RenderError(
            .timedOut,
            "It took longer than the limit of \(limits.wholeSecondsPerPage) seconds: "
                + "raise \(limits.secondsSetting), or save the document anew with another program.")
    }

    /// Part of its time that a child computes at least, unless other programs or a disk keep it from it.
    private static let leastShare = 0.1
    /// Of a shorter time nothing can be told.
    private static let tellingSeconds = 10.0

    /// Whether the child waits for a disk or a share, or has got next to no time.
    private var isKept: Bool {
        guard let computed, let use = process.use else { return false }
        let limit = Double(limits.wholeSecondsPerPage)
        return use.isWaitingForDisk || limit >= Self.tellingSeconds && use.seconds - computed < Self.leastShare * limit
    }

    private var keptFromComputing: RenderError {
        RenderError(
            .interrupted,
            "It took longer than the limit of \(limits.wholeSecondsPerPage) seconds because the renderer was kept from "
                + "computing: the disk, the share or this machine is too slow at the moment.")
    }

    private func disagreement(_ what: String) -> RenderError {
        RenderError(.broken, "quire-render sent \(what): install the one that belongs to this program.")
    }

    /// Why the child's output ended early.
    private func ending() -> RenderError {
        drainErrors()
        let said = ParserNoise(noise)
        if said.isOutOfMemory {
            return RenderError(
                .tooLarge,
                "It needs more memory than the limit of \(limits.memoryBytes >> 20) MiB: raise \(limits.memorySetting), or "
                    + "make the document's images smaller.")
        }
        let advice = "repair the document (for example with qpdf or mutool) or save it anew with another program."
        switch process.wait() {
        case .signalled(SIGXCPU): return tookTooLong
        case .signalled(SIGKILL):
            return RenderError(
                .interrupted,
                "The rendering process was killed (signal 9), perhaps because the machine ran out of "
                    + "memory: free memory or use fewer workers.")
        case .signalled(let signal):
            return RenderError(
                .crashed,
                "The parser crashed on it (signal \(signal), \(String(cString: strsignal(signal)))): " + advice)
        case .exited(let code):
            let reason = said.firstLine.map { ": \($0)" } ?? ""
            return RenderError(.broken, "quire-render ended early with code \(code)\(reason). Run quire doctor.")
        }
    }

    // MARK: - Reading

    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Exactly `count` bytes of the child's output; its error output is emptied meanwhile so that it never blocks.
    private func read(_ count: Int, until deadline: Double) throws(Interruption) -> [UInt8] {
        guard count > 0 else { return [] }
        var interruption: Interruption?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count, interruption == nil {
                do throws(Interruption) {
                    try waitForOutput(until: deadline)
                    let got = Glibc.read(
                        process.output.raw, buffer.baseAddress.map { $0 + filled }, count - filled)
                    if got > 0 {
                        filled += got
                    } else if got == 0 || errno != EINTR {
                        throw .ended
                    }
                } catch {
                    interruption = error
                }
            }
        }
        if let interruption { throw interruption }
        return bytes
    }

    /// Returns once output can be read or has ended.
    private func waitForOutput(until deadline: Double) throws(Interruption) {
        while true {
            let left = deadline - Self.now()
            guard left > 0 else { throw .late }
            var polled = [
                pollfd(fd: process.output.raw, events: Int16(POLLIN), revents: 0),
                pollfd(fd: errorsEnded ? -1 : process.errors.raw, events: Int16(POLLIN), revents: 0),
            ]
            let ready = poll(&polled, 2, Int32(min(left * 1000 + 1, computed == nil ? 1000 : 3_600_000)))
            if ready < 0, errno != EINTR { throw .failed(RenderError(lastErrorDuring: "wait for quire-render")) }
            if ready == 0, computed == nil { computed = process.use?.seconds }
            if ready <= 0 { continue }
            if polled[1].revents != 0 { readErrors() }
            if polled[0].revents != 0 { return }
        }
    }

    private func drainErrors() {
        while !errorsEnded {
            var polled = pollfd(fd: process.errors.raw, events: Int16(POLLIN), revents: 0)
            guard poll(&polled, 1, 0) > 0 else { return }
            readErrors()
        }
    }

    private func readErrors() {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let got = Glibc.read(process.errors.raw, &buffer, buffer.count)
        if got > 0 {
            noise.append(contentsOf: buffer.prefix(min(got, max(0, Self.noiseKept - noise.count))))
        } else if got == 0 || errno != EINTR {
            errorsEnded = true
        }
    }
}
