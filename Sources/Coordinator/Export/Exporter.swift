internal import Digest
package import Shared
package import SystemPackage

/// Writes a batch's results: a folder a document, and `batch.json`, which tells what became of every file.
package struct Exporter: Sendable {
    package let queue: PageQueue
    package let batch: Batch
    /// The export folder; made if there is none.
    package let directory: FilePath
    package let formats: Set<ExportFormat>

    package init(
        queue: PageQueue, batch: Batch, directory: FilePath, formats: Set<ExportFormat> = Set(ExportFormat.allCases)
    ) {
        self.queue = queue
        self.batch = batch
        self.directory = directory
        self.formats = formats
    }

    /// Exports everything as it is now; pages that are not settled leave a placeholder.
    ///
    /// `progress` is called after each document, with the report so far. Throws `DatabaseError`, or `ExportError` where the
    /// folder cannot be written to; a place that is taken by something else only blocks its own document.
    package func export(progress: (ExportReport) -> Void = { _ in }) async throws -> ExportReport {
        let folder = try ExportFolder(directory)
        let files = try await queue.files(batch: batch.id)
        let documents = files.filter { if case .document = $0.content { true } else { false } }
        var places = ExportNaming.folders(for: documents.map(\.location), in: batch.source).makeIterator()
        var list = try BatchList(batch, in: directory)
        var report = ExportReport()
        var counted: Set<Int64> = []
        for file in files {
            try Task.checkCancellation()
            let path = file.location.path(below: batch.source)
            switch file.content {
            case .unreadable(let reason):
                report.unreadable.append(ExportReport.FileProblem(path: path, reason: reason))
                try list.add(file.location, .unreadable(reason: reason))
            case .ignored(let reason):
                report.ignored.append(ExportReport.FileProblem(path: path, reason: reason))
                try list.add(file.location, .ignored(reason: reason))
            case .document(let id, let sha256, let format, let pageCount):
                guard let place = places.next() else { continue }
                let document = DocumentExport(
                    queue: queue, location: file.location, documentID: id, sha256: sha256, format: format,
                    pageCount: pageCount, formats: formats)
                do {
                    let manifest = try await export(document, to: place, in: folder, &report)
                    if counted.insert(id).inserted { report.pages += manifest.pages }
                    report.pageProblems += manifest.problems.map {
                        ExportReport.PageProblem(path: path, page: $0.page, reason: $0.reason)
                    }
                    try list.add(
                        file.location, .exported(folder: place, sha256: sha256.hex, pages: manifest.pages))
                } catch ExportError.blocked(let blocked, let reason) {
                    report.blocked.append(ExportReport.FileProblem(path: path, reason: reason))
                    let error = ExportError.blocked(blocked, reason: reason)
                    try list.add(file.location, .blocked(reason: error.description))
                }
                progress(report)
            }
        }
        try list.finish(report)
        return report
    }

    private func export(
        _ document: DocumentExport, to place: FilePath, in folder: ExportFolder, _ report: inout ExportReport
    ) async throws -> DocumentManifest {
        let target = try folder.document(place)
        let fingerprint = try await document.fingerprint()
        if let manifest = target.manifest, target.holds(fingerprint: fingerprint),
            manifest.root == document.location.root, manifest.path == document.location.path.displayText
        {
            report.unchanged += 1
            return manifest
        }
        let manifest = try await target.replace { new in
            try await document.write(into: new, fingerprint: fingerprint)
        }
        report.written += 1
        return manifest
    }
}
