private import Glibc

/// Lines on standard output and standard error, written at once and whole.
package enum Console {
    /// A result, on standard output.
    package static func line(_ text: String = "") { write(text + "\n", to: STDOUT_FILENO) }

    /// A problem or a notice, on standard error.
    package static func error(_ text: String) { write(text + "\n", to: STDERR_FILENO) }

    /// A piece of a line, on standard error.
    package static func errorPart(_ text: String) { write(text, to: STDERR_FILENO) }

    private static func write(_ text: String, to descriptor: Int32) {
        let bytes = Array(text.utf8)
        bytes.withUnsafeBytes { buffer in
            var rest = buffer[...]
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count < 0 && errno == EINTR { continue }
                // A reader that has gone away needs no more lines.
                guard count > 0 else { return }
                rest = rest.dropFirst(count)
            }
        }
    }
}
