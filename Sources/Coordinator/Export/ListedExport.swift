internal import Shared
internal import SystemPackage

/// Lists what became of each file, and what became of the folders of documents that left the batch.
struct ListedExport {
    private let batch: Batch
    private let folder: ExportFolder
    private var list: BatchList
    private var earlier: EarlierList
    private var report = ExportReport()
    private var counted = NumberSet()

    /// `isAfterCut`: the last export did not end in order.
    init(batch: Batch, folder: ExportFolder, isAfterCut: Bool) throws(ExportError) {
        self.batch = batch
        self.folder = folder
        let last = folder.path.appending(ExportNaming.batchFile)
        // Only documents of this batch can have left it.
        earlier = EarlierList(
            BatchHead(list: last)?.tells(of: batch) == true ? last : nil, hasRemoved: isAfterCut)
        list = try BatchList(batch, in: folder.path)
    }

    /// Adds files in their order.
    mutating func add(_ entries: [ExportGroup.Entry], _ progress: (ExportReport) -> Void) throws(ExportError) {
        for entry in entries {
            let location = entry.file.location
            while let other = earlier.next(upTo: location) {
                guard other.location == location else {
                    try leave(other)
                    continue
                }
                switch entry.outcome {
                case .exported(let place, _, _) where place == other.folder: break
                // Its place may be one that holds the document's last good text.
                case .blocked: break
                default: try leave(other)
                }
                break
            }
            try add(entry)
            if case .document = entry.file.content { progress(report) }
        }
    }

    /// Ends the list.
    mutating func finish() throws(ExportError) -> ExportReport {
        while let other = earlier.next(upTo: nil) { try leave(other) }
        try folder.sync()
        try list.finish(report)
        return report
    }

    private mutating func add(_ entry: ExportGroup.Entry) throws(ExportError) {
        let path = entry.file.location.path(below: batch.source)
        var notes = NoteTally()
        if let manifest = entry.manifest { notes.add(manifest, of: path) }
        switch entry.outcome {
        case .unreadable(let reason): report.unreadable.append(ExportReport.FileProblem(path: path, reason: reason))
        case .ignored(let reason): report.ignored.append(ExportReport.FileProblem(path: path, reason: reason))
        case .gone(let reason): report.gone.append(ExportReport.FileProblem(path: path, reason: reason))
        case .blocked(let reason): report.blocked.append(ExportReport.FileProblem(path: path, reason: reason))
        case .left: break
        case .exported(_, _, let pages):
            if entry.folder == nil { report.unchanged += 1 } else { report.written += 1 }
            if case .document(let id, _, _, _) = entry.file.content, counted.insert(id) {
                report.pages += pages
                if let manifest = entry.manifest { report.noted.add(manifest, of: path) }
            }
            for problem in entry.manifest?.problems ?? [] {
                report.pageProblems.append(
                    ExportReport.PageProblem(path: path, page: problem.page, reason: problem.reason))
            }
        }
        try list.add(entry.file.location, entry.outcome, notes: notes)
    }

    /// Removes the folder of a document that is not in the batch any more, or not there; what others changed stays.
    private mutating func leave(_ entry: EarlierList.Entry) throws(ExportError) {
        let path = folder.path.appending(entry.folder.components)
        var reason = "something in it was added or changed by somebody else."
        do throws(ExportError) {
            switch FolderContents.kind(of: path) {
            case .absent: return try noteRemoval(entry)
            case .file, .other: return
            case .folder: break
            }
            if FolderContents.removeIfEmpty(path) { return try noteRemoval(entry) }
            // Another document may have its place by now.
            guard DocumentManifest(in: path)?.describes(entry.location) ?? DocumentFolder.isMarked(path) else { return }
            let document = try DocumentFolder(path)
            if document.isUntouched() {
                try document.remove()
                return try noteRemoval(entry)
            }
        } catch {
            guard !error.endsExport else { throw error }
            reason = error.description
        }
        report.left.append(
            ExportReport.FileProblem(path: entry.location.path(below: batch.source), reason: reason))
        try list.add(entry.location, .left(folder: entry.folder, reason: reason))
    }

    private mutating func noteRemoval(_ entry: EarlierList.Entry) throws(ExportError) {
        report.removed += 1
        var parent = entry.folder.removingLastComponent()
        folder.touch(folder.path.appending(parent.components))
        while !parent.isEmpty, FolderContents.removeIfEmpty(folder.path.appending(parent.components)) {
            parent.removeLastComponent()
            folder.touch(folder.path.appending(parent.components))
        }
        try list.add(entry.location, .left(folder: entry.folder, reason: nil))
    }
}
