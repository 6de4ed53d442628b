/// Why a lease's pages cannot be read, and whose failure that may be.
package struct LeaseProblem: Error, Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        /// The content's: recorded, and shared by all batches.
        case content(isPermanent: Bool)
        /// This file's: another file of the same content need not have it.
        case file
        /// The file's, or that of the mount through which it is seen.
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
    /// A sentence that says what to do.
    package let reason: String

    package init(_ kind: Kind, reason: String) {
        self.kind = kind
        self.reason = reason
    }
}

/// What a problem has turned out to be.
package enum LeaseVerdict: Sendable, Equatable {
    /// It is recorded as the outcome of the pages that meet it.
    case pages(reason: String, isPermanent: Bool)
    /// The lease goes back without an attempt, and the file is noted; another of the same content is tried next.
    ///
    /// `isAbsent`: its folder is empty, which may be a mount point; it is tried again for as long as that is so.
    case file(reason: String, isAbsent: Bool = false)
    /// The lease goes back without an attempt, and nothing is noted of its document.
    case machine
}
