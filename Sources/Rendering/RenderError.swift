/// Why a document or a page could not be read, in a sentence that says what to do.
package struct RenderError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Kind: String, Sendable {
        /// The file is not what it claims, is damaged, empty or of an unknown kind.
        case damaged
        /// A password is needed, or the one given is wrong.
        case locked
        /// The file cannot be opened.
        case unopenable
        /// A limit of memory, time or size was passed.
        case tooLarge
        case timedOut
        /// The rendering process died.
        case crashed
        /// `quire-render` is missing or does not answer as agreed.
        case broken
    }

    package let kind: Kind
    /// A sentence without file name and page: the caller knows these.
    package let message: String

    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    /// Whether trying again cannot help.
    package var isPermanent: Bool {
        switch kind {
        case .damaged, .locked, .tooLarge: true
        case .unopenable, .timedOut, .crashed, .broken: false
        }
    }

    package var description: String { message }
}
