package import SystemPackage

/// Why a directory of random weights cannot be written.
package enum WeightsError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The directory holds a model, which must not be lost.
    case occupied(FilePath)
    /// The file system has too little room.
    case noRoom(FilePath, needed: Int, free: Int)
    /// The system refused to make a directory or to write a file.
    case unwritable(FilePath, Errno)

    package var description: String {
        switch self {
        case .occupied(let path):
            "\(path) holds a model already: name another directory, or remove this one first."
        case .noRoom(let path, let needed, let free):
            "\(path) has too little room: the weights take \(Self.megabytes(needed)) MB, and \(free / 1_000_000) MB are "
                + "free. Name a directory on another disk, or make room."
        case .unwritable(let path, .noSpace):
            "The disk became full while \(path) was written. Make room, or name a directory on another disk."
        case .unwritable(let path, let reason):
            "Cannot write \(path): \(reason). Name a directory that you may write to."
        }
    }

    private static func megabytes(_ bytes: Int) -> Int { (bytes + 999_999) / 1_000_000 }
}
