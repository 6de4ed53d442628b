private import Glibc
import Rendering

/// Ends the process from inside a C library's error callback, which must not return.
///
/// libpng and libjpeg would jump across Swift frames otherwise. Files of these formats are one page, so nothing
/// that could still be done is lost.
final class FatalReporter {
    private let output: Output
    private let stopwatch = Stopwatch()
    /// 0 while the document is being opened, then the page.
    var number = 0
    /// Begins the sentence, such as "The PNG file is damaged".
    private let introduction: String

    init(output: Output, introduction: String) {
        self.output = output
        self.introduction = introduction
    }

    /// For the context pointer of a C library; this object must outlive the library's handle.
    var context: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

    static func from(_ context: UnsafeMutableRawPointer?) -> FatalReporter? {
        context.map { Unmanaged<FatalReporter>.fromOpaque($0).takeUnretainedValue() }
    }

    /// Sends the error with the library's own message and ends.
    func fail(_ message: String) -> Never {
        let kind: RenderError.Kind = message.isOutOfMemory ? .tooLarge : .damaged
        let advice = kind == .tooLarge ? "raise --render-memory." : "copy it again from its source."
        output.send(
            RenderError(kind, "\(introduction) (\(message)): \(advice)"), number: number,
            microseconds: stopwatch.microseconds)
        _exit(0)
    }
}

extension String {
    /// Whether a library's message speaks of memory.
    fileprivate var isOutOfMemory: Bool {
        let words = lowercased().split { !$0.isLetter }
        return words.contains("memory") || words.contains("malloc")
    }
}
