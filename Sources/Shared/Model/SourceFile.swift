package import Digest
package import SystemPackage

/// Where a file lies: a named root, which each machine maps to its own mount, and a path below it.
///
/// Paths are bytes.
package struct SourceLocation: Sendable, Hashable {
    package var root: String
    /// Relative to the root, in the bytes that the file system has.
    package var path: FilePath

    package init(root: String, path: FilePath) {
        self.root = root
        self.path = path
    }
}

/// What a file is, by its content.
package enum DocumentFormat: String, Sendable, Codable, CaseIterable {
    case pdf
    case tiff
    case png
    case jpeg
}

/// A file as the file system describes it; equal stamps mean an unchanged file.
package struct FileStamp: Sendable, Hashable {
    package var size: Int64
    package var modifiedNanoseconds: Int64
    /// Of the last change of its inode; nil where it is not known or cannot be trusted, as the file was just written.
    package var changedNanoseconds: Int64?

    package init(size: Int64, modifiedNanoseconds: Int64, changedNanoseconds: Int64? = nil) {
        self.size = size
        self.modifiedNanoseconds = modifiedNanoseconds
        self.changedNanoseconds = changedNanoseconds
    }
}

/// What submitting found out about one file.
package struct ScannedFile: Sendable {
    package enum Finding: Sendable {
        /// A document: its content's digest, format and number of pages.
        case document(sha256: SHA256Digest, format: DocumentFormat, pageCount: Int)
        /// A file that should be a document and cannot be read, and why, in a sentence.
        case unreadable(reason: String)
        /// Not a kind of file that Quire reads, and why, in a sentence.
        case ignored(reason: String)
    }

    package var location: SourceLocation
    package var stamp: FileStamp
    package var finding: Finding
    /// Unreadable for what is the file's, its mount's or this machine's: it says nothing of what the file holds.
    package var isFault: Bool
    /// Of a document as a whole, such as files attached to it.
    package var notes: [PageNote]

    package init(
        location: SourceLocation, stamp: FileStamp, finding: Finding, isFault: Bool = false, notes: [PageNote] = []
    ) {
        self.location = location
        self.stamp = stamp
        self.finding = finding
        self.isFault = isFault
        self.notes = notes
    }
}
