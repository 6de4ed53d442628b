package import Shared
internal import SystemPackage

/// What a submission found, in lines.
package struct SubmissionSummary: Sendable {
    package let batch: Batch
    package let counts: SubmitCounts
    /// The first ones' paths as they are shown, with the reasons.
    package let unreadable: [(path: String, reason: String)]
    package let ignored: [(path: String, reason: String)]
    /// How many there are, the named ones included.
    package let unreadableCount: Int
    package let ignoredCount: Int
    /// What is to be said of files that are there no more.
    package var goneLines: [String] = []

    /// So many files of a kind are named; an export lists all of them.
    static let mostNamed = 20

    package init(
        batch: Batch, counts: SubmitCounts, unreadable: [(path: String, reason: String)],
        ignored: [(path: String, reason: String)], unreadableCount: Int? = nil, ignoredCount: Int? = nil
    ) {
        self.batch = batch
        self.counts = counts
        self.unreadable = unreadable
        self.ignored = ignored
        self.unreadableCount = unreadableCount ?? unreadable.count
        self.ignoredCount = ignoredCount ?? ignored.count
    }

    package var lines: [String] {
        var lines = ["Batch \(batch.name), number \(batch.id):"]
        let documents = counts.added + counts.changed - counts.unreadable - counts.ignored
        var parts = ["\(NumberText.count(counts.pagesQueued, "page")) to recognise"]
        if counts.pagesAlreadyRecorded > 0 { parts.append("\(counts.pagesAlreadyRecorded) recognised before") }
        if counts.duplicates > 0 { parts.append("\(counts.duplicates) of them with the content of another") }
        if counts.changed > 0 { parts.append("\(counts.changed) changed") }
        lines.append("  \(NumberText.count(documents, "document")) new or changed: \(parts.joined(separator: ", "))")
        if counts.unchanged > 0 { lines.append("  \(NumberText.count(counts.unchanged, "document")) unchanged") }
        lines += goneLines
        lines += Self.list("cannot be read", unreadable, of: unreadableCount)
        lines += Self.list("of other kinds", ignored, of: ignoredCount)
        return lines
    }

    private static func list(_ what: String, _ files: [(path: String, reason: String)], of count: Int) -> [String] {
        guard count > 0 else { return [] }
        let more = count - min(files.count, mostNamed)
        return ["  \(NumberText.count(count, "file")) \(what):"]
            + files.prefix(mostNamed).map { "    \($0.path): \($0.reason)" }
            + (more > 0 ? ["    and \(more) more; `quire export` lists them all in batch.json"] : [])
    }
}
