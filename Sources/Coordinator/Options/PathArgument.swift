package import ArgumentParser
internal import Shared
package import SystemPackage

/// A path on the command line, with the bytes that were typed.
package struct PathArgument: ExpressibleByArgument, Sendable {
    package let path: FilePath

    package init?(argument: String) {
        let bytes = RawArguments.bytes(argument)
        guard !bytes.isEmpty else { return nil }
        path = FilePath(bytes: bytes)
    }

    package static var defaultCompletionKind: CompletionKind { .file() }
}
