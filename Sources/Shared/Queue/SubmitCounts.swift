/// What one `add` changed in its batch.
package struct SubmitCounts: Sendable, Hashable, Codable {
    /// Files that the batch had not seen.
    package var added = 0
    /// Files that had another content before.
    package var changed = 0
    /// Documents known with the same content; files that cannot be read or are of other kinds count for themselves.
    package var unchanged = 0
    /// Files whose content the batch held already under another path.
    package var duplicates = 0
    /// Of the added and changed files, those that cannot be read.
    package var unreadable = 0
    /// Of the added and changed files, those of other kinds.
    package var ignored = 0
    /// Pages queued for recognition.
    package var pagesQueued = 0
    /// Pages that were recognised before, by this batch's pipeline.
    package var pagesAlreadyRecorded = 0

    package init() {}

    package static func += (left: inout SubmitCounts, right: SubmitCounts) {
        left.added += right.added
        left.changed += right.changed
        left.unchanged += right.unchanged
        left.duplicates += right.duplicates
        left.unreadable += right.unreadable
        left.ignored += right.ignored
        left.pagesQueued += right.pagesQueued
        left.pagesAlreadyRecorded += right.pagesAlreadyRecorded
    }
}
