/// Why a document or a page could not be read, in a sentence that says what to do.
package struct RenderError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Kind: String, Sendable {
        /// The file is not what it claims, is damaged, empty or of an unknown kind.
        case damaged
        /// Whole as far as is known, but of a kind that is not read.
        case unsupported
        /// A password is needed, or the one given is wrong.
        case locked
        /// The file cannot be opened or read here.
        case unopenable
        /// The file was written to while it was read.
        case changed
        /// A limit of memory, time or size was passed.
        case tooLarge
        case timedOut
        /// The rendering process died of what it did.
        case crashed
        /// It was killed from outside, as where memory is short, or hardly got to compute before its time was over.
        case interrupted
        /// `quire-render` does not answer as agreed.
        case broken
        /// This machine refused what does not depend on any document: to start a process, to open one more file.
        case machine
        /// The disk or share does not answer.
        case unanswered
    }

    /// Whose failure it is.
    package enum Fault: Sendable {
        /// The bytes': every machine that reads them meets it.
        case content
        /// This file's: another file of the same content need not have it.
        case file
        /// This file's, or that of the mount through which it is seen.
        case fileOrMount
        /// The mount's, for certain.
        case mount
        /// The renderer's on this machine, or else the content's.
        case rendererOrContent
        /// This machine's, which may be short of memory or of time, or else the content's, which may need too much of it.
        case machineOrContent
        /// This machine's: no document can cause it.
        case machine
    }

    package let kind: Kind
    /// A sentence without file name and page: the caller knows these.
    package let message: String

    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    package var fault: Fault {
        switch kind {
        case .damaged, .unsupported, .tooLarge, .timedOut, .crashed: .content
        // The password lies beside the file.
        case .locked, .changed: .file
        case .unopenable: .fileOrMount
        case .unanswered: .mount
        case .broken: .rendererOrContent
        case .interrupted: .machineOrContent
        case .machine: .machine
        }
    }

    /// Whether trying again cannot help.
    package var isPermanent: Bool {
        switch kind {
        case .damaged, .unsupported, .locked, .tooLarge: true
        case .unopenable, .changed, .timedOut, .crashed, .interrupted, .broken, .machine, .unanswered: false
        }
    }

    package var description: String { message }
}
