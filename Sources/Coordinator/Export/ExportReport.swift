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
    /// Documents that could not be written, most often because something else has their place.
    package var blocked = ProblemList<FileProblem>()
    package var unreadable = ProblemList<FileProblem>()
    package var ignored = ProblemList<FileProblem>()
    /// Files that are no longer in their folder.
    package var gone = ProblemList<FileProblem>()
    /// Documents that are not in the batch any more and whose folders were kept, as somebody changed something there.
    package var left = ProblemList<FileProblem>()
    /// Folders of documents that are not in the batch any more.
    package var removed = 0
    /// Each document counts once, however many copies of it the batch holds.
    package var pages = ExportedPages()
    /// Failed and quarantined pages of all documents, copies included.
    package var pageProblems = ProblemList<PageProblem>()
    /// What was noted, each document once.
    package var noted = NoteTally()

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
    /// No file leads to them any more.
    package var stranded = 0
    /// Not recognised yet.
    package var pending = 0
    /// Of those done, the ones that the token limit cut off.
    package var cutOff = 0
    /// Of those done and blank, the ones with notes.
    package var noted = 0

    package init() {}

    /// Counts that manifests of earlier versions lack are 0.
    package init(from decoder: any Decoder) throws {
        let counts = try decoder.singleValueContainer().decode([String: Int].self)
        func count(_ key: CodingKeys) -> Int { counts[key.rawValue] ?? 0 }
        (total, done, blank, failed) = (count(.total), count(.done), count(.blank), count(.failed))
        (quarantined, stranded, pending) = (count(.quarantined), count(.stranded), count(.pending))
        (cutOff, noted) = (count(.cutOff), count(.noted))
    }

    private enum CodingKeys: String, CodingKey {
        case total, done, blank, failed, quarantined, stranded, pending, cutOff, noted
    }

    /// `noted` is left out where nothing is, so that such manifests are those of earlier versions.
    package func encode(to encoder: any Encoder) throws {
        var counts = encoder.container(keyedBy: CodingKeys.self)
        let all: [(CodingKeys, Int)] = [
            (.total, total), (.done, done), (.blank, blank), (.failed, failed), (.quarantined, quarantined),
            (.stranded, stranded), (.pending, pending), (.cutOff, cutOff),
        ]
        for (key, count) in all { try counts.encode(count, forKey: key) }
        if noted > 0 { try counts.encode(noted, forKey: .noted) }
    }

    /// Counts one page; nil stands for one that is not settled.
    mutating func count(_ page: ExportPage?, isStranded: Bool) {
        total += 1
        switch page?.state {
        case .done: done += 1
        case .blank: blank += 1
        case .failed: failed += 1
        case .quarantined: quarantined += 1
        case nil where isStranded: stranded += 1
        case nil: pending += 1
        }
        if page?.text?.reachedEnd == false { cutOff += 1 }
        if page?.notes.isEmpty == false { noted += 1 }
    }

    static func += (left: inout ExportedPages, right: ExportedPages) {
        left.total += right.total
        left.done += right.done
        left.blank += right.blank
        left.failed += right.failed
        left.quarantined += right.quarantined
        left.stranded += right.stranded
        left.pending += right.pending
        left.cutOff += right.cutOff
        left.noted += right.noted
    }
}
