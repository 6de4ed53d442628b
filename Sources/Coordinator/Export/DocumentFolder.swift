private import Digest
private import Glibc
internal import Shared
internal import SystemPackage

/// One document's folder, which is replaced as a whole or not at all.
///
/// A new folder is made beside it (`stage`) and takes its place when all of it is on the disk (`sync`, `place`, and `sync` of
/// the parent). What others put into the old folder, or changed there, is carried over.
struct DocumentFolder {
    /// Where the document belongs.
    let path: FilePath
    /// What the last export wrote here; nil where that is not known any more.
    let manifest: DocumentManifest?
    let new: FilePath
    let old: FilePath

    /// An empty file by which Quire knows a folder that it made, whatever became of the other files.
    static let marker = ".quire-document"

    /// Cleans up after an export that was interrupted.
    ///
    /// Throws `blocked` where something stands that no export wrote.
    init(_ path: FilePath) throws(ExportError) {
        self.path = path
        (new, old) = ExportNaming.temporaryNames(for: path)
        if case .folder = FolderContents.kind(of: old) {
            if case .absent = FolderContents.kind(of: path) {
                try FolderContents.rename(old, path)
            } else {
                try FolderContents.removeTree(old)
            }
        }
        try FolderContents.removeTree(new)
        switch FolderContents.kind(of: path) {
        case .absent: manifest = nil
        case .folder:
            manifest = DocumentManifest(in: path)
            if manifest != nil || Self.isMarked(path) { break }
            guard try FolderContents.names(in: path).isEmpty else {
                throw .blocked(path, reason: "no export wrote it. Move it away or export to another folder.")
            }
        case .file, .other:
            throw .blocked(path, reason: "it is no folder. Move it away or export to another folder.")
        }
    }

    static func isMarked(_ path: FilePath) -> Bool {
        if case .file = FolderContents.kind(of: path.appending(marker)) { true } else { false }
    }

    /// Whether the folder holds what a manifest with this fingerprint says; files that were edited are left alone.
    ///
    /// After an export that ended in order sizes suffice: what it wrote was on the disk before it was put here. Otherwise
    /// `isVerifying` has every file read and compared with its digest.
    func holds(fingerprint: String, isVerifying: Bool) -> Bool {
        guard let manifest, manifest.fingerprint == fingerprint, Self.isMarked(path) else { return false }
        let written = FolderContents.modified(path.appending(DocumentManifest.name))
        return manifest.files.allSatisfy { file in
            guard let relative = Self.checked(file.path) else { return false }
            let place = path.appending(relative.components)
            guard case .file(let size) = FolderContents.kind(of: place), size > 0 || file.size == 0 else {
                return false
            }
            guard isVerifying else { return true }
            if size == file.size, (try? SHA256.hash(contentsOf: place))?.hex == file.sha256 { return true }
            // Written later than the manifest and whole to the end: somebody's own text.
            guard let written, let modified = FolderContents.modified(place), modified > written else { return false }
            return FolderContents.read(place)?.last != 0
        }
    }

    /// Has `write` fill a new folder beside this one.
    func stage(_ write: (FilePath) async throws -> DocumentManifest) async throws -> DocumentManifest {
        try FolderContents.makeFolder(new)
        do {
            _ = try OutputFile(new.appending(Self.marker)).finish()
            let written = try await write(new)
            try written.write(in: new)
            if case .folder = FolderContents.kind(of: path) { try carryOver(from: path, to: new) }
            return written
        } catch {
            discard()
            throw error
        }
    }

    /// Takes back what `stage` made.
    func discard() { try? FolderContents.removeTree(new) }

    /// Waits until the new folder is on the disk.
    func sync() throws(ExportError) { try FolderContents.syncTree(new) }

    /// Puts the new folder in its place, and the old one aside.
    ///
    /// An export that is interrupted between the two renames leaves the old folder aside, for the next one to put back.
    func place() throws(ExportError) {
        if case .folder = FolderContents.kind(of: path) {
            // Where the target takes two names for one, another document of this export may have come here meanwhile.
            guard DocumentManifest(in: path) == manifest else {
                throw .blocked(
                    path, reason: "another document has the same place, as this file system compares names.")
            }
            try FolderContents.rename(path, old)
        }
        try FolderContents.rename(new, path)
    }

    /// Removes the old folder, when the new one's place is on the disk.
    func removeOld() throws(ExportError) { try FolderContents.removeTree(old) }

    // MARK: What others did

    /// Whether the folder holds nothing but what the last export wrote, or less.
    func isUntouched() -> Bool {
        guard let manifest else { return false }
        let own = Self.digests(manifest)
        func isOwn(_ folder: FilePath, prefix: String) -> Bool {
            guard let names = try? FolderContents.names(in: folder) else { return false }
            return names.allSatisfy { name in
                let (place, relative) = (folder.appending(name), prefix + name.string)
                switch FolderContents.kind(of: place) {
                case .folder: return relative == FigureFolder.name && isOwn(place, prefix: relative + "/")
                case .file(let size):
                    guard let sha256 = own[relative] else { return relative == Self.marker && size == 0 }
                    return sha256.isEmpty || (try? SHA256.hash(contentsOf: place))?.hex == sha256
                case .absent: return true
                case .other: return false
                }
            }
        }
        return isOwn(path, prefix: "")
    }

    /// Removes the folder; an interruption leaves it known as Quire's.
    func remove() throws(ExportError) {
        for name in try FolderContents.names(in: path) where name.string != DocumentManifest.name {
            try FolderContents.removeTree(path.appending(name))
        }
        try FolderContents.removeTree(path)
    }

    private static func digests(_ manifest: DocumentManifest) -> [String: String] {
        var own = [DocumentManifest.name: ""]
        for file in manifest.files { own[file.path] = file.sha256 }
        return own
    }

    /// Links what the manifest does not list, or lists with another content, into the new folder.
    private func carryOver(from old: FilePath, to new: FilePath) throws(ExportError) {
        let own = manifest.map { Self.digests($0) } ?? [DocumentManifest.name: ""]
        try carryOver(from: old, to: new, prefix: "", own: own)
    }

    private func carryOver(
        from old: FilePath, to new: FilePath, prefix: String, own: [String: String]
    ) throws(ExportError) {
        for name in try FolderContents.names(in: old) {
            let source = old.appending(name)
            let relative = prefix + name.string
            if case .folder = FolderContents.kind(of: source) {
                let isNew = try FolderContents.makeFolder(new.appending(name))
                try carryOver(from: source, to: new.appending(name), prefix: relative + "/", own: own)
                if isNew, relative == FigureFolder.name { _ = new.appending(name).withPlatformString { rmdir($0) } }
                continue
            }
            if relative == Self.marker { continue }
            if let sha256 = own[relative] {
                let digest = try? SHA256.hash(contentsOf: source)
                if sha256.isEmpty || digest?.hex == sha256 { continue }
            }
            let target = new.appending(name)
            if TornFile.isTorn(source, of: target) { continue }
            try FolderContents.duplicate(source, Self.freeName(for: name, in: new))
        }
    }

    private static func freeName(for name: FilePath.Component, in folder: FilePath) -> FilePath {
        var number = 1
        var candidate = folder.appending(name)
        while true {
            if case .absent = FolderContents.kind(of: candidate) { return candidate }
            candidate = folder.appending("\(name.string).edited" + (number > 1 ? "-\(number)" : ""))
            number += 1
        }
    }

    /// A path of a manifest, which may have been tampered with; nil unless it stays in the folder.
    private static func checked(_ path: String) -> FilePath? {
        let relative = FilePath(path)
        guard relative.isRelative, relative.components.allSatisfy({ $0.kind == .regular }) else { return nil }
        return relative
    }
}
