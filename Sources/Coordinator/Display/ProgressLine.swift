private import Glibc
private import Synchronization

/// One line about what goes on: redrawn on a terminal; elsewhere written now and then.
package final class ProgressLine: Sendable {
    private struct State {
        var isShown = false
        var lastText = ""
        var lastTime: ContinuousClock.Instant?
    }

    private let isTerminal: Bool
    private let state = Mutex(State())

    /// In a log a line a quarter of a minute is enough.
    private static let logInterval = Duration.seconds(15)

    /// Writes to standard error, so that results can be piped.
    package init(isTerminal: Bool = isatty(STDERR_FILENO) == 1) {
        self.isTerminal = isTerminal
    }

    /// Shows a text, in place of the one before on a terminal.
    package func show(_ text: String) {
        state.withLock { state in
            let now = ContinuousClock.now
            if isTerminal {
                Console.errorPart("\r\u{1B}[K" + text)
                state.isShown = true
            } else if text != state.lastText, state.lastTime.map({ now - $0 >= Self.logInterval }) ?? true {
                Console.error(text)
                state.lastTime = now
                state.lastText = text
            }
        }
    }

    /// Takes the line away, before other lines are written.
    package func clear() {
        state.withLock { state in
            if state.isShown { Console.errorPart("\r\u{1B}[K") }
            state.isShown = false
        }
    }

    /// Writes a line that stays, above the one that is redrawn.
    package func note(_ text: String) {
        clear()
        Console.error(text)
    }
}
