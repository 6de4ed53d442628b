private import Digest
internal import SystemPackage

/// One document's folder, which is replaced as a whole or not at all.
///
/// A new folder is made beside it and takes its place when it is complete. What others put into the old folder, or changed
/// there, is carried over.
struct DocumentFolder {
    /// Where the document belongs.
    let path: FilePath
    /// What the last export wrote here.
    let manifest: DocumentManifest?
    private let new: FilePath
    private let old: FilePath

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
            let names = try FolderContents.names(in: path)
            guard manifest != nil || names.isEmpty else {
                throw .blocked(path, reason: "no export wrote it. Move it away or export to another folder.")
            }
        case .file, .other:
            throw .blocked(path, reason: "it is no folder. Move it away or export to another folder.")
        }
    }

    /// Whether the folder holds what a manifest with this fingerprint says; files that were edited are left alone.
    func holds(fingerprint: String) -> Bool {
        guard let manifest, manifest.fingerprint == fingerprint else { return false }
        return manifest.files.allSatisfy { file in
            guard let relative = Self.checked(file.path),
                case .file(let size) = FolderContents.kind(of: path.appending(relative.components))
            else { return false }
            return size > 0 || file.size == 0
        }
    }

    /// Has `write` fill a new folder, which then takes this one's place.
    func replace(
        _ write: (FilePath) async throws -> DocumentManifest
    ) async throws -> DocumentManifest {
        try FolderContents.makeFolder(new)
        do {
            let written = try await write(new)
            try written.write(in: new)
            if let manifest { try carryOver(from: path, to: new, manifest) }
        } catch {
            try? FolderContents.removeTree(new)
            throw error
        }
        // An export that is interrupted between the two renames leaves the old folder beside, for the next one to put back.
        if case .folder = FolderContents.kind(of: path) { try FolderContents.rename(path, old) }
        try FolderContents.rename(new, path)
        try FolderContents.removeTree(old)
        guard let manifest = DocumentManifest(in: path) else {
            throw ExportError.system(path.appending(DocumentManifest.name), action: "read", errno: .ioError)
        }
        return manifest
    }

    /// Links what the manifest does not list, or lists with another content, into the new folder.
    private func carryOver(from old: FilePath, to new: FilePath, _ manifest: DocumentManifest) throws(ExportError) {
        var own = [DocumentManifest.name: ""]
        for file in manifest.files { own[file.path] = file.sha256 }
        try carryOver(from: old, to: new, prefix: "", own: own)
    }

    private func carryOver(
        from old: FilePath, to new: FilePath, prefix: String, own: [String: String]
    ) throws(ExportError) {
        for name in try FolderContents.names(in: old) {
            let source = old.appending(name)
            let relative = prefix + name.string
            if case .folder = FolderContents.kind(of: source) {
                try FolderContents.makeFolder(new.appending(name))
                try carryOver(from: source, to: new.appending(name), prefix: relative + "/", own: own)
                continue
            }
            if let sha256 = own[relative] {
                let digest = try? SHA256.hash(contentsOf: source)
                if sha256.isEmpty || digest?.hex == sha256 { continue }
            }
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
