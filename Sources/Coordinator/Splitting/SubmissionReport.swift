package import Shared
package import SystemPackage

extension Submission {
    /// What a submission found, as it goes on and at its end.
    package struct Report: Sendable {
        package var counts = SubmitCounts()
        /// Files looked into so far.
        package var scanned = 0
        /// The first files and folders that cannot be read, with the reason, whether new or known.
        package var unreadable: [(path: FilePath, reason: String)] = []
        /// How many cannot be read, the named ones included.
        package var unreadableCount = 0
        /// Files and folders that were met.
        package var found = 0
        /// Documents that have another number of pages than was known.
        package var recounted = 0
        /// Files that are there no more, and the first of them below the batch's folder.
        package var goneCount = 0
        package var gone: [FilePath] = []
        /// Files that may be gone, or on a share that is not mounted, and the folder that is missing or empty.
        package var heldBackCount = 0
        package var emptyFolder: FilePath?

        package init() {}

        /// What is to be said of files that are there no more; empty where there are none.
        package var goneLines: [String] {
            var lines: [String] = []
            if goneCount > 0 {
                lines.append(
                    "  \(NumberText.count(goneCount, "file is", "files are")) gone, and left out from now on; results stay "
                        + "in the database:")
                lines += gone.map { "    \($0.displayText)" }
                if goneCount > gone.count {
                    lines.append(
                        "    and \(goneCount - gone.count) more; `quire export` lists them all in batch.json")
                }
            }
            if let emptyFolder {
                lines.append(
                    "  \(NumberText.count(heldBackCount, "file")) of the batch cannot be found, and "
                        + "\(emptyFolder.displayText) is missing or empty, as that of a share that is not mounted is. "
                        + "Nothing was changed about them. If they are gone for good, add --forget-missing.")
            }
            return lines
        }
    }
}
