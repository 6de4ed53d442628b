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
        /// Files and folders that cannot be read, with the reason, whether new or known.
        package var unreadable: [(path: FilePath, reason: String)] = []
    }

    private struct Job {
        let location: SourceLocation
        let path: FilePath
        let stamp: FileStamp
        let known: ScannedFile.Finding?
    }

    /// Walks the folders and adds what is new or changed.
    ///
    /// `progress` is called after each stored group of files.
    package func add(_ folders: [FilePath], progress: (Report) -> Void) async throws -> Report {
        let known = try await queue.knownFiles(batch: batch.id)
        var report = Report()
        var jobs: [Job] = []
        for folder in folders {
            FolderWalk.visit(folder) { entry in
                switch entry {
                case .file(let path, let stamp):
                    let location = location(of: path)
                    // Files that could not be read are tried again: a password may have been put beside them.
                    if !rescans, let seen = known[location], seen.stamp == stamp, seen.isDocument {
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
        }
        try await scan(jobs, report: &report, progress: progress)
        if report.counts.pagesQueued > 0 { try await queue.notifySubmitted() }
        return report
    }

    private func entryJob(_ path: FilePath, _ finding: ScannedFile.Finding) -> Job {
        Job(
            location: location(of: path), path: path, stamp: FileStamp(size: 0, modifiedNanoseconds: 0), known: finding)
    }

    private func scan(_ jobs: [Job], report: inout Report, progress: (Report) -> Void) async throws {
        var found: [ScannedFile] = []
        var lastFlush = ContinuousClock.now
        try await withThrowingTaskGroup(of: ScannedFile.self) { group in
            var next = jobs.makeIterator()
            func start() {
                guard let job = next.next() else { return }
                group.addTask {
                    let finding =
                        if let known = job.known { known } else { await source.finding(job.path) }
                    return ScannedFile(location: job.location, stamp: job.stamp, finding: finding)
                }
            }
            for _ in 0..<Self.width { start() }
            while let file = try await group.next() {
                try Task.checkCancellation()
                start()
                found.append(file)
                report.scanned += 1
                if case .unreadable(let reason) = file.finding {
                    report.unreadable.append((root.appending(file.location.path.components), reason))
                }
                if found.count >= Self.flushCount || ContinuousClock.now - lastFlush >= Self.flushInterval {
                    report.counts += try await queue.add(found, to: batch.id)
                    found.removeAll(keepingCapacity: true)
                    lastFlush = .now
                    progress(report)
                }
            }
        }
        if !found.isEmpty { report.counts += try await queue.add(found, to: batch.id) }
        report.unreadable.sort { $0.path.string < $1.path.string }
        progress(report)
    }

    /// `path`, which lies below the root, as it is stored.
    private func location(of path: FilePath) -> SourceLocation {
        var relative = path
        _ = relative.removePrefix(root)
        return SourceLocation(root: batch.source.root, path: relative)
    }
}
