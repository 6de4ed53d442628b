internal import Shared
package import SystemPackage

/// What an export wrote and what it found missing.
///
/// Paths are below the batch's folder.
package struct ExportReport: Sendable {
    /// A file that has no document folder, and why.
    package struct FileProblem: Sendable, Hashable {
        package var path: FilePath
        package var reason: String

        package init(path: FilePath, reason: String) {
            self.path = path
            self.reason = reason
        }
    }

    /// A page without text because it failed, and why.
    package struct PageProblem: Sendable, Hashable {
        package var path: FilePath
        package var page: Int
        package var reason: String

        package init(path: FilePath, page: Int, reason: String) {
            self.path = path
            self.page = page
            self.reason = reason
        }
    }

    /// Documents written anew or again.
    package var written = 0
    /// Documents whose folder was up to date.
    package var unchanged = 0
    /// Documents whose place in the export folder is taken by something else.
    package var blocked: [FileProblem] = []
    package var unreadable: [FileProblem] = []
    package var ignored: [FileProblem] = []
    /// Each document counts once, however many copies of it the batch holds.
    package var pages = ExportedPages()
    /// Failed and quarantined pages of all documents, copies included.
    package var pageProblems: [PageProblem] = []

    package init() {}

    /// Whether everything that can be exported was written.
    package var isComplete: Bool { blocked.isEmpty }
}

/// Pages by how they ended.
package struct ExportedPages: Sendable, Hashable, Codable {
    package var total = 0
    package var done = 0
    package var blank = 0
    package var failed = 0
    package var quarantined = 0
    /// Not recognised yet.
    package var pending = 0
    /// Of those done, the ones that the token limit cut off.
    package var cutOff = 0

    package init() {}

    /// Counts one page; nil stands for one that is not settled.
    mutating func count(_ page: ExportPage?) {
        total += 1
        switch page?.state {
        case .done: done += 1
        case .blank: blank += 1
        case .failed: failed += 1
        case .quarantined: quarantined += 1
        case nil: pending += 1
        }
        if page?.text?.reachedEnd == false { cutOff += 1 }
    }

    static func += (left: inout ExportedPages, right: ExportedPages) {
        left.total += right.total
        left.done += right.done
        left.blank += right.blank
        left.failed += right.failed
        left.quarantined += right.quarantined
        left.pending += right.pending
        left.cutOff += right.cutOff
    }
}
