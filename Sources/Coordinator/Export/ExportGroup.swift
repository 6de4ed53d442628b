private import Dispatch
internal import Shared
private import Synchronization
internal import SystemPackage

/// Documents that are put in their places together: waiting for the disk once for many is faster than once for each.
///
/// Entries wait in their order until `commit`.
struct ExportGroup {
    /// One file of the batch.
    struct Entry {
        var file: ExportFile
        var outcome: BatchList.Outcome
        /// What is written but not in its place yet.
        var folder: DocumentFolder?
        var manifest: DocumentManifest?
    }

    private(set) var entries: [Entry] = []
    private var bytes = 0

    /// Written documents that wait at most, and their bytes.
    private static let longest = 512
    private static let largest = 64 << 20
    /// Entries of any kind that wait at most.
    private static let most = 4096
    /// Documents that are synced at a time.
    private static let threads = 16

    var isFull: Bool {
        entries.count >= Self.most || waiting >= Self.longest || bytes >= Self.largest
    }

    private var waiting = 0

    mutating func add(_ entry: Entry) {
        entries.append(entry)
        guard entry.folder != nil else { return }
        waiting += 1
        bytes += entry.manifest?.files.reduce(0) { $0 + $1.size } ?? 0
    }

    /// Puts everything in its place and waits for the disk; returns the entries, those that failed as `blocked`.
    ///
    /// A place is given only to what is on the disk, and nothing is removed before its successor's place is.
    mutating func commit(in folder: ExportFolder) throws(ExportError) -> [Entry] {
        var done = entries
        let failures = syncAll()
        try forEachWaiting(&done) { document throws(ExportError) in
            if let error = failures[document.path] { throw error }
        }
        try forEachWaiting(&done) { document throws(ExportError) in
            try document.place()
            folder.touch(document.path.removingLastComponent())
        }
        try folder.sync()
        try forEachWaiting(&done) { document throws(ExportError) in try document.removeOld() }
        entries = []
        waiting = 0
        bytes = 0
        return done
    }

    /// Takes back what waits.
    func discard() { for entry in entries { entry.folder?.discard() } }

    /// Waits for the disk from several threads, as it writes many files at once in little more time than one.
    private func syncAll() -> [FilePath: ExportError] {
        let documents = entries.compactMap(\.folder)
        let failures = Mutex<[FilePath: ExportError]>([:])
        DispatchQueue.concurrentPerform(iterations: min(Self.threads, documents.count)) { thread in
            for document in stride(from: thread, to: documents.count, by: Self.threads).map({ documents[$0] }) {
                do throws(ExportError) {
                    try document.sync()
                } catch {
                    failures.withLock { $0[document.path] = error }
                }
            }
        }
        return failures.withLock { $0 }
    }

    private func forEachWaiting(
        _ entries: inout [Entry], _ body: (DocumentFolder) throws(ExportError) -> Void
    ) throws(ExportError) {
        for index in entries.indices {
            guard let document = entries[index].folder else { continue }
            do throws(ExportError) {
                try body(document)
            } catch {
                guard !error.endsExport else { throw error }
                document.discard()
                entries[index].folder = nil
                entries[index].manifest = nil
                entries[index].outcome = .blocked(reason: error.description)
            }
        }
    }
}
