internal import Digest
package import Shared
package import SystemPackage

/// Writes a batch's results: a folder a document, and `batch.json`, which tells what became of every file.
///
/// Memory does not grow with the batch, but for some twenty bytes a file. What is in its place is on the disk, whole:
/// an export that is cut off, by whatever, is completed by the next one.
package struct Exporter: Sendable {
    package let queue: PageQueue
    package let batch: Batch
    /// The export folder; made if there is none.
    package let directory: FilePath
    package let formats: Set<ExportFormat>
    /// Whether the model's Markdown is written as it is, with whatever HTML and links it has.
    package let isRaw: Bool

    /// Files that are fetched at a time.
    private static let portion = 500

    package init(
        queue: PageQueue, batch: Batch, directory: FilePath, formats: Set<ExportFormat> = Set(ExportFormat.allCases),
        isRaw: Bool = false
    ) {
        self.queue = queue
        self.batch = batch
        self.directory = directory
        self.formats = formats
        self.isRaw = isRaw
    }

    /// Throws where the export would be refused for what the folder holds, so that nobody recognises for hours before.
    package func check() throws(ExportError) { try ExportState.check(batch, in: directory) }

    /// Exports everything as it is now; pages that are not settled leave a placeholder.
    ///
    /// `progress` is called after each document, with the report so far. Throws `DatabaseError`, or `ExportError` where the
    /// folder cannot be written to; what concerns one document only blocks that one.
    package func export(progress: (ExportReport) -> Void = { _ in }) async throws -> ExportReport {
        let folder = try ExportFolder(directory)
        let isVerifying = try !ExportState.begin(batch, in: directory)
        let plan = try await ExportPlan.make(queue: queue, batch: batch, folder: folder)
        var list = try ListedExport(batch: batch, folder: folder, isAfterCut: isVerifying)
        var group = ExportGroup()
        do {
            for start in stride(from: 0, to: plan.files.count, by: Self.portion) {
                let ids = Array(plan.files[start..<min(start + Self.portion, plan.files.count)])
                for file in try await queue.files(ids) {
                    try Task.checkCancellation()
                    group.add(
                        try await entry(for: file, at: plan.place(of: file), in: folder, isVerifying: isVerifying))
                    if group.isFull { try list.add(group.commit(in: folder), progress) }
                }
            }
            try list.add(group.commit(in: folder), progress)
        } catch {
            group.discard()
            throw error
        }
        let report = try list.finish()
        try ExportState.end(batch, in: directory)
        return report
    }

    private func entry(
        for file: ExportFile, at place: FilePath, in folder: ExportFolder, isVerifying: Bool
    ) async throws -> ExportGroup.Entry {
        switch file.content {
        case .unreadable(let reason): return ExportGroup.Entry(file: file, outcome: .unreadable(reason: reason))
        case .ignored(let reason): return ExportGroup.Entry(file: file, outcome: .ignored(reason: reason))
        case .gone(let reason): return ExportGroup.Entry(file: file, outcome: .gone(reason: reason))
        case .document(let id, let sha256, let format, let pageCount):
            let document = DocumentExport(
                queue: queue, location: file.location, documentID: id, sha256: sha256, format: format,
                pageCount: pageCount, formats: formats, isRaw: isRaw, results: file.fingerprint,
                stranded: file.stranded,
                notes: file.notes)
            do {
                let target = try folder.document(place)
                if let other = target.manifest?.location, other != file.location { try await check(other, in: target) }
                let fingerprint = document.fingerprint
                if let manifest = target.manifest, manifest.describes(file.location),
                    target.holds(fingerprint: fingerprint, isVerifying: isVerifying)
                {
                    return ExportGroup.Entry(
                        file: file, outcome: .exported(folder: place, sha256: sha256.hex, pages: manifest.pages),
                        manifest: manifest)
                }
                let manifest = try await target.stage { new in try await document.write(into: new) }
                return ExportGroup.Entry(
                    file: file, outcome: .exported(folder: place, sha256: sha256.hex, pages: manifest.pages),
                    folder: target, manifest: manifest)
            } catch let error as ExportError where !error.endsExport {
                return ExportGroup.Entry(file: file, outcome: .blocked(reason: error.description))
            }
        }
    }

    /// Throws `blocked` where the folder belongs to another document: what this export has written is never overwritten.
    private func check(_ other: SourceLocation, in target: DocumentFolder) async throws {
        let isOfBatch = other.root == batch.source.root && other.path.starts(with: batch.source.path)
        let isInBatch = try await queue.holdsDocument(batch: batch.id, other)
        guard !isOfBatch || isInBatch else { return }
        throw ExportError.blocked(
            target.path,
            reason: "it holds the export of \(other.path.displayText). Move it away or export to another folder.")
    }
}
