internal import Digest
package import Shared
package import SystemPackage

/// Brings the files of a folder into a batch.
package struct Submission: Sendable {
    package let queue: PageQueue
    package let batch: Batch
    package let root: FilePath
    package let source: DocumentSource
    /// Look into files again whose size and time of modification have not changed.
    package var rescans = false
    /// Take files for gone whose folder is missing or empty, too.
    package var forgetsMissing = false

    /// So many entries are walked over and looked up in the database at a time.
    private static let chunkSize = 512
    /// So many unreadable files are named; the rest are counted.
    private static let mostNamed = 100
    /// So many files are looked into at the same time.
    private static let width = 4
    /// Findings are stored after so many files, or after `flushInterval`: a crash costs seconds.
    private static let flushCount = 256
    private static let flushInterval = Duration.seconds(3)

    package init(
        queue: PageQueue, batch: Batch, root: FilePath, source: DocumentSource, rescans: Bool = false,
        forgetsMissing: Bool = false
    ) {
        self.queue = queue
        self.batch = batch
        self.root = root
        self.source = source
        self.rescans = rescans
        self.forgetsMissing = forgetsMissing
    }

    private struct Job {
        let location: SourceLocation
        let path: FilePath
        let stamp: FileStamp
        let known: ScannedFile.Finding?
    }

    /// Walks the folders and adds what is new or changed; marks what is gone.
    ///
    /// Memory does not grow with the number of files, but for the names in the folders that are being walked through.
    /// `missing` are submitted folders that are not there. `progress` is called after each stored or unchanged group of files.
    /// Throws a `RenderError` where this machine cannot look into files: they are left as they were.
    package func add(
        _ folders: [FilePath], missing: [FilePath] = [], progress: (Report) -> Void
    ) async throws -> Report {
        var report = Report()
        var walks = Walks(folders)
        try await scan(&walks, report: &report, progress: progress)
        let gone = try await GoneFiles(
            queue: queue, batch: batch, root: root, paths: folders + missing, forgetsMissing: forgetsMissing
        ).mark(found: report.found)
        (report.goneCount, report.gone) = (gone.count, gone.paths)
        (report.heldBackCount, report.emptyFolder) = (gone.heldBack, gone.emptyFolder)
        report.unreadable.sort { $0.path.string < $1.path.string }
        progress(report)
        if report.counts.pagesQueued > 0 || report.recounted > 0 { try await queue.notifySubmitted() }
        return report
    }

    /// The folders to walk, and the entries that were found and wait to be looked into.
    private struct Walks {
        private var folders: ArraySlice<FilePath>
        private var walk: FolderWalk?
        var waiting: ArraySlice<Job> = []

        init(_ folders: [FilePath]) { self.folders = folders[...] }

        /// Up to `count` entries; empty at the end.
        mutating func entries(_ count: Int) -> [FolderWalk.Entry] {
            var entries: [FolderWalk.Entry] = []
            while entries.count < count {
                if let entry = walk?.next() {
                    entries.append(entry)
                } else if let folder = folders.popFirst() {
                    walk = FolderWalk(folder)
                } else {
                    break
                }
            }
            return entries
        }
    }

    /// The next file to look into; walks on and asks what is known of the files where none is waiting.
    private func nextJob(
        _ walks: inout Walks, report: inout Report, progress: (Report) -> Void
    ) async throws -> Job? {
        while true {
            if let job = walks.waiting.popFirst() { return job }
            try Task.checkCancellation()
            let entries = walks.entries(Self.chunkSize)
            guard !entries.isEmpty else { return nil }
            report.found += entries.count
            let unchanged = report.counts.unchanged
            walks.waiting = try await jobs(entries, report: &report)[...]
            if report.counts.unchanged > unchanged { progress(report) }
        }
    }

    /// What is to be looked into of the entries; the unchanged files are counted.
    private func jobs(_ entries: [FolderWalk.Entry], report: inout Report) async throws -> [Job] {
        var places: [SourceLocation] = []
        if !rescans {
            for case .file(let path, _) in entries { places.append(location(of: path)) }
        }
        let known = places.isEmpty ? [:] : try await queue.knownFiles(batch: batch.id, at: places)
        var jobs: [Job] = []
        var undated: [(location: SourceLocation, changedNanoseconds: Int64)] = []
        for entry in entries {
            switch entry {
            case .file(let path, let stamp):
                let location = location(of: path)
                // Files that could not be read are tried again: a password may have been put beside them.
                if let seen = known[location], seen.isUnchanged(stamp), seen.isDocument {
                    if !seen.isDated, let changed = stamp.changedNanoseconds { undated.append((location, changed)) }
                    report.counts.unchanged += 1
                } else {
                    jobs.append(Job(location: location, path: path, stamp: stamp, known: nil))
                }
            case .passedOver(let path, let reason):
                jobs.append(entryJob(path, .ignored(reason: reason)))
            case .unreadable(let path, let reason):
                jobs.append(entryJob(path, .unreadable(reason: reason)))
            }
        }
        try await queue.date(undated, batch: batch.id)
        return jobs
    }

    private func entryJob(_ path: FilePath, _ finding: ScannedFile.Finding) -> Job {
        Job(
            location: location(of: path), path: path, stamp: FileStamp(size: 0, modifiedNanoseconds: 0), known: finding)
    }

    private func scan(
        _ walks: inout Walks, report: inout Report, progress: (Report) -> Void
    ) async throws {
        var found: [ScannedFile] = []
        var lastFlush = ContinuousClock.now
        try await withThrowingTaskGroup(of: ScannedFile.self) { group in
            var running = 0
            while true {
                while running < Self.width, let job = try await nextJob(&walks, report: &report, progress: progress) {
                    group.addTask {
                        if let known = job.known {
                            // What cannot be opened may be what the batch knows, and come back.
                            let isFault = if case .unreadable = known { true } else { false }
                            return ScannedFile(
                                location: job.location, stamp: job.stamp, finding: known, isFault: isFault)
                        }
                        let look = try await source.look(job.path)
                        return ScannedFile(
                            location: job.location, stamp: look.stamp ?? job.stamp, finding: look.finding,
                            isFault: look.isFault, notes: look.notes)
                    }
                    running += 1
                }
                guard let file = try await group.next() else { break }
                running -= 1
                try Task.checkCancellation()
                found.append(file)
                note(file, in: &report)
                if found.count >= Self.flushCount || ContinuousClock.now - lastFlush >= Self.flushInterval {
                    try await store(found, in: &report)
                    found.removeAll(keepingCapacity: true)
                    lastFlush = .now
                    progress(report)
                }
            }
        }
        if !found.isEmpty { try await store(found, in: &report) }
    }

    /// Stores findings; where a content is known with another number of pages, a child that has seen no other file decides.
    private func store(_ found: [ScannedFile], in report: inout Report) async throws {
        var contents: [SHA256Digest] = []
        for case .document(let sha256, _, _) in found.map(\.finding) { contents.append(sha256) }
        let known = try await queue.pageCounts(of: contents, batch: batch.id)
        var corrections: [Int64: Int] = [:]
        for file in found {
            guard case .document(let sha256, _, let count) = file.finding, let before = known[sha256],
                before.count != count
            else { continue }
            let again = try await source.look(root.appending(file.location.path.components), byFreshChild: true).finding
            // A file that has changed meanwhile says nothing about this content.
            guard case .document(sha256, _, let count) = again, count != before.count else { continue }
            corrections[before.document] = count
        }
        report.counts += try await queue.add(found, to: batch.id)
        for (document, count) in corrections.sorted(by: { $0.key < $1.key })
        where try await queue.correctPageCount(document: document, count: count) {
            report.recounted += 1
        }
    }

    private func note(_ file: ScannedFile, in report: inout Report) {
        report.scanned += 1
        guard case .unreadable(let reason) = file.finding else { return }
        report.unreadableCount += 1
        if report.unreadable.count < Self.mostNamed {
            report.unreadable.append((root.appending(file.location.path.components), reason))
        }
    }

    /// `path`, which lies below the root, as it is stored.
    private func location(of path: FilePath) -> SourceLocation {
        var relative = path
        _ = relative.removePrefix(root)
        return SourceLocation(root: batch.source.root, path: relative)
    }
}
