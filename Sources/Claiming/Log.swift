internal import Glibc

/// Lines for the operator on standard error; they hold no credentials and no page text.
package enum Log {
    package static func line(_ text: String) {
        let bytes = Array((text + "\n").utf8)
        _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    /// A line that is written only where `QUIRE_DEBUG` is set.
    package static func debug(_ text: String) {
        if getenv("QUIRE_DEBUG") != nil { line(text) }
    }
}
