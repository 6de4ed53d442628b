private import Glibc
private import Inference
internal import Shared
internal import SystemPackage

/// The change of a model directory to files that have arrived beside those that it has.
///
/// One rename would do for a file, and none does for a directory that may be a mount point and holds the user's own
/// `quire.json`. So the manifest to come is written first, as `quire-model.unfinished.json`, and no loader takes a directory
/// that has it. Then the files take their names, those that are of no use any more go, and the manifest takes its name too.
/// Cut off anywhere between, the same pull goes on: it finds in that file what it was about to do.
struct ModelChange {
    /// A file that is whole, right and on the disk under the name of its part.
    struct Arrival {
        let part: PartFile
        let name: String
    }

    let directory: FilePath
    /// What the directory will hold.
    let manifest: ModelManifest
    /// Kept open until the end, so that no other pull takes them.
    let arrived: [Arrival]

    /// Changes the directory; `note` is told what goes.
    ///
    /// - Throws: `unusableFile`.
    func carryOut(_ note: (String) -> Void) throws(ModelStoreError) {
        let leaving = leaving
        let unfinished = directory.appending(ModelManifest.unfinishedName)
        let isStray = hasStrayIndex(leaving)
        guard !arrived.isEmpty || !leaving.isEmpty || isStray || MappedFile.exists(unfinished) else {
            return try manifest.write(to: directory)
        }
        try mark(unfinished)
        if isStray { try setIndexAside(note) }
        for name in leaving {
            try remove(name)
            note("\(name): removed, it is not of this commit")
        }
        for arrival in arrived { try arrival.part.take(directory.appending(arrival.name)) }
        removeParts()
        try sync()
        try rename(unfinished, directory.appending(ModelManifest.fileName))
        try sync()
    }

    /// Files that were pulled before and are of no use to this model.
    private var leaving: [String] {
        var names: Set<String> = []
        for name in [ModelManifest.fileName, ModelManifest.unfinishedName] {
            // What cannot be read lists nothing.
            let former = (try? ModelManifest.read(directory, name: name)).flatMap(\.self)
            names.formUnion(former?.files.map(\.name) ?? [])
        }
        names.subtract(manifest.files.map(\.name))
        return names.filter { RemoteFile.isNeeded($0) && MappedFile.exists(directory.appending($0)) }.sorted()
    }

    /// Whether an index that nobody pulled would have the loader read other weights than those pulled.
    private func hasStrayIndex(_ leaving: [String]) -> Bool {
        !leaving.contains(RemoteFile.indexName) && !manifest.files.contains { $0.name == RemoteFile.indexName }
            && MappedFile.exists(directory.appending(RemoteFile.indexName))
    }

    /// It may be somebody's own, so it is kept.
    private func setIndexAside(_ note: (String) -> Void) throws(ModelStoreError) {
        let aside = "\(RemoteFile.indexName).aside"
        try rename(directory.appending(RemoteFile.indexName), directory.appending(aside))
        note("\(RemoteFile.indexName): renamed to \(aside), it is not of this commit")
    }

    private func mark(_ path: FilePath) throws(ModelStoreError) {
        do {
            let file = try FileDescriptor.open(
                path, .writeOnly, options: [.create, .truncate, .closeOnExec, .noFollow],
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
            try file.closeAfter {
                try file.writeAll(manifest.encoded())
                guard fsync(file.rawValue) == 0 else { throw Errno(rawValue: errno) }
            }
        } catch {
            throw .unusableFile(path, reason: "it cannot be written: \(error)")
        }
        try sync()
    }

    private func remove(_ name: String) throws(ModelStoreError) {
        let path = directory.appending(name)
        guard path.withPlatformString({ unlink($0) }) != 0, errno != ENOENT else { return }
        throw .unusableFile(path, reason: "it cannot be removed: \(Errno(rawValue: errno))")
    }

    /// What has arrived of other commits is of no use any more.
    private func removeParts() {
        for component in (try? FolderListing.names(in: directory)) ?? [] {
            guard let name = RemoteFile.name(ofPart: component.string), RemoteFile.isNeeded(name) else { continue }
            _ = directory.appending(component).withPlatformString { unlink($0) }
        }
    }

    private func rename(_ from: FilePath, _ to: FilePath) throws(ModelStoreError) {
        let result = from.withPlatformString { from in to.withPlatformString { Glibc.rename(from, $0) } }
        guard result == 0 else {
            throw .unusableFile(to, reason: "it cannot be put there: \(Errno(rawValue: errno))")
        }
    }

    /// Waits until the directory's names are on the disk.
    private func sync() throws(ModelStoreError) {
        do {
            let file = try FileDescriptor.open(directory, .readOnly, options: [.directory, .closeOnExec])
            try file.closeAfter { try file.sync() }
        } catch {
            throw .unusableFile(directory, reason: "it cannot be written: \(error)")
        }
    }
}
