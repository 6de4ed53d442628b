private import Glibc
internal import Shared
internal import SystemPackage

/// The folder that an export writes to; no other export may write there meanwhile.
final class ExportFolder {
    let path: FilePath
    private let lock: FileDescriptor
    /// Folders in which names were made that may not be on the disk yet.
    private var unsynced: Set<FilePath> = []

    /// Makes the folder if there is none, and holds it until the end of this object.
    init(_ path: FilePath) throws(ExportError) {
        self.path = path
        do throws(ExportError) {
            try Self.makeAll(path)
            lock = try ExportError.wrap(path, "open") {
                try FileDescriptor.open(path, .readOnly, options: [.directory, .closeOnExec])
            }
        } catch {
            throw .folderUnusable(path, reason: error.description)
        }
        guard flock(lock.rawValue, LOCK_EX | LOCK_NB) == 0 else {
            let reason =
                errno == EWOULDBLOCK
                ? "another export is writing there; wait for its end or choose another folder."
                : "\(Errno(rawValue: errno))."
            try? lock.close()
            throw .folderUnusable(path, reason: reason)
        }
    }

    deinit {
        // A program that is being started at this moment still has a copy of the descriptor, which would hold the lock.
        flock(lock.rawValue, LOCK_UN)
        try? lock.close()
    }

    /// The place of a document; `relative` comes from `ExportNaming`.
    func document(_ relative: FilePath) throws(ExportError) -> DocumentFolder {
        var parent = path
        for component in relative.components.dropLast() {
            let above = parent
            parent.append(component)
            if try FolderContents.makeFolder(parent) { unsynced.insert(above) }
            // A link could lead out of the export folder.
            guard case .folder = FolderContents.kind(of: parent) else {
                throw .blocked(
                    path.appending(relative.components),
                    reason: "\(parent.displayText) is not a folder. Move it away or export to another folder.")
            }
        }
        return try DocumentFolder(path.appending(relative.components))
    }

    /// Whose export a folder holds, as far as its manifest tells.
    func holder(of relative: FilePath) -> SourceLocation? {
        DocumentManifest(in: path.appending(relative.components))?.location
    }

    /// Notes that names in a folder have changed.
    func touch(_ folder: FilePath) { unsynced.insert(folder) }

    /// Waits until all names that were made are on the disk.
    func sync() throws(ExportError) {
        for folder in unsynced {
            // One that was empty may have been removed since.
            if case .folder = FolderContents.kind(of: folder) { try FolderContents.sync(folder) }
        }
        unsynced = []
    }

    private static func makeAll(_ path: FilePath) throws(ExportError) {
        var missing: [FilePath] = []
        var next = path
        while !next.isEmpty, case .absent = FolderContents.kind(of: next) {
            missing.append(next)
            if !next.removeLastComponent() { break }
        }
        for folder in missing.reversed() {
            try FolderContents.makeFolder(folder)
            let parent = folder.removingLastComponent()
            try FolderContents.sync(parent.isEmpty ? "." : parent)
        }
    }
}
