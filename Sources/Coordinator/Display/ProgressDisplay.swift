private import Glibc
private import Synchronization
package import SystemPackage

/// Progress while it changes: redrawn in place on a terminal, a line every few seconds elsewhere.
package final class ProgressDisplay: Sendable {
    private struct State {
        var drawnLines = 0
        var pacing: ProgressPacing
        var lastText: String?
        var pending: String?
    }

    private let output: FileDescriptor
    /// Whether lines can be redrawn.
    package let isTerminal: Bool
    private let state: Mutex<State>

    /// Results belong on standard output, progress on standard error.
    ///
    /// `isTerminal` is nil to ask the system, for which `TERM=dumb` is no terminal; `interval` is the least time between two
    /// lines where there is none.
    package init(
        output: FileDescriptor = .standardError, isTerminal: Bool? = nil, interval: Duration = .seconds(5)
    ) {
        self.output = output
        let isDumb = getenv("TERM").map { String(cString: $0) == "dumb" } ?? true
        self.isTerminal = isTerminal ?? (isatty(output.rawValue) == 1 && !isDumb)
        state = Mutex(State(pacing: ProgressPacing(interval: interval)))
    }

    /// Shows a batch's progress, with a bar where there is a terminal.
    package func show(_ progress: ProgressLine, title: String = "") {
        let prefix = title.isEmpty ? "" : "\(title): "
        show([prefix + (isTerminal ? progress.textWithBar : progress.text)])
    }

    /// Shows these lines in place of the last ones.
    package func show(_ lines: [String]) {
        state.withLock { state in
            if isTerminal {
                redraw(lines, &state)
            } else {
                let text = lines.joined(separator: "\n")
                if state.pacing.admits(text, at: .now) {
                    state.lastText = text
                    state.pending = nil
                    write(text + "\n")
                } else {
                    state.pending = text == state.lastText ? nil : text
                }
            }
        }
    }

    /// Writes a line that stays; the progress goes on below it.
    package func note(_ line: String) {
        state.withLock { state in
            erase(&state)
            write(line + "\n")
        }
    }

    /// Ends the display: what was shown last stays.
    ///
    /// More may be shown afterwards.
    package func finish() {
        state.withLock { state in
            state.drawnLines = 0
            if let pending = state.pending { write(pending + "\n") }
            state.pending = nil
        }
    }

    private func redraw(_ lines: [String], _ state: inout State) {
        let (width, height) = terminalSize()
        // A line that wraps, or scrolls out of the window, could not be taken back.
        let shown = lines.prefix(max(1, height - 1)).map { String($0.prefix(max(10, width - 1))) }
        let up = state.drawnLines > 0 ? "\u{1B}[\(state.drawnLines)A" : ""
        write(up + "\r\u{1B}[J" + shown.map { $0 + "\n" }.joined())
        state.drawnLines = shown.count
    }

    private func erase(_ state: inout State) {
        guard state.drawnLines > 0 else { return }
        write("\u{1B}[\(state.drawnLines)A\r\u{1B}[J")
        state.drawnLines = 0
    }

    private func terminalSize() -> (width: Int, height: Int) {
        var size = winsize()
        guard ioctl(output.rawValue, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else {
            return (80, 24)
        }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    /// Progress that nobody reads is no reason to stop.
    private func write(_ text: String) { _ = try? output.writeAll(text.utf8) }
}
