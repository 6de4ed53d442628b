internal import Shared
package import SystemPackage

/// Why an export, or one document of it, could not be written.
package enum ExportError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The export folder cannot be used at all.
    case folderUnusable(FilePath, reason: String)
    /// Something that no export wrote stands where a document belongs; the rest can still be written.
    case blocked(FilePath, reason: String)
    /// The file system refused an operation.
    case system(FilePath, action: String, errno: Errno)

    package var description: String {
        switch self {
        case .folderUnusable(let path, let reason): "Cannot export to \(path.displayText): \(reason)"
        case .blocked(let path, let reason): "\(path.displayText) was left alone: \(reason)"
        case .system(let path, let action, let errno):
            "Cannot \(action) \(path.displayText): \(errno)." + (endsExport ? " \(Self.advice(errno))" : "")
        }
    }

    /// Whether the whole folder is concerned, not only the one document that met it.
    package var endsExport: Bool {
        switch self {
        case .folderUnusable: true
        case .blocked: false
        case .system(_, _, let errno): Self.ends.contains(errno)
        }
    }

    private static let ends: Set<Errno> = [
        .noSpace, .diskQuotaExceeded, .readOnlyFileSystem, .ioError, .tooManyOpenFiles, .tooManyOpenFilesInSystem,
        .noMemory, .staleNFSFileHandle, .noSuchAddressOrDevice, .hostIsDown, .timedOut, .socketNotConnected,
        .interrupted,
    ]

    private static func advice(_ errno: Errno) -> String {
        let mend =
            switch errno {
            case .noSpace, .diskQuotaExceeded: "Make room"
            case .readOnlyFileSystem: "Make the folder writable"
            default: "Mend that"
            }
        return
            "The texts are kept in the database. \(mend) and give the same command again: it goes on where it stopped."
    }
}
