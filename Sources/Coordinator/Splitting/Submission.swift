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

    /// So many entries are walked over and looked up in the database at a time.
    private static let chunkSize = 512
    /// So many unreadable files are named; the rest are counted.
    private static let mostNamed = 100
    /// So many files are looked into at the same time.
    private static let width = 4
    /// Findings are stored after so many files, or after `flushInterval`: a crash costs seconds.
    private static let flushCount = 256
    private static let flushInterval = Duration.seconds(3)

    package init(queue: PageQueue, batch: Batch, root: FilePath, source: DocumentSource, rescans: Bool = false) {
        self.queue = queue
        self.batch = batch
        self.root = root
        self.source = source
        self.rescans = rescans
    }

    /// What a submission found, as it goes on and at its end.
    package struct Report: Sendable {
        package var counts = SubmitCounts()
        /// Files looked into so far.
        package var scanned = 0
        /// The first files and folders that cannot be read, with the reason, whether new or known.
        package var unreadable: [(path: FilePath, reason: String)] = []
        /// How many cannot be read, the named ones included.
        package var unreadableCount = 0
    }

    private struct Job {
        let location: SourceLocation
        let path: FilePath
        let stamp: FileStamp
        let known: ScannedFile.Finding?
    }

    /// Walks the folders and adds what is new or changed.
    ///
    /// Memory does not grow with the number of files, but for the names in the folders that are being walked through.
    /// `progress` is called after each stored or unchanged group of files.
    package func add(_ folders: [FilePath], progress: (Report) -> Void) async throws -> Report {
        var report = Report()
        var walks = Walks(folders)
        try await scan(&walks, report: &report, progress: progress)
        report.unreadable.sort { $0.path.string < $1.path.string }
        progress(report)
        if report.counts.pagesQueued > 0 { try await queue.notifySubmitted() }
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
        for entry in entries {
            switch entry {
            case .file(let path, let stamp):
                let location = location(of: path)
                // Files that could not be read are tried again: a password may have been put beside them.
                if let seen = known[location], seen.stamp == stamp, seen.isDocument {
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
                            return ScannedFile(location: job.location, stamp: job.stamp, finding: known)
                        }
                        let look = await source.look(job.path)
                        return ScannedFile(
                            location: job.location, stamp: look.stamp ?? job.stamp, finding: look.finding)
                    }
                    running += 1
                }
                guard let file = try await group.next() else { break }
                running -= 1
                try Task.checkCancellation()
                found.append(file)
                note(file, in: &report)
                if found.count >= Self.flushCount || ContinuousClock.now - lastFlush >= Self.flushInterval {
                    report.counts += try await queue.add(found, to: batch.id)
                    found.removeAll(keepingCapacity: true)
                    lastFlush = .now
                    progress(report)
                }
            }
        }
        if !found.isEmpty { report.counts += try await queue.add(found, to: batch.id) }
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
