internal import SystemPackage

/// Files that a power cut left unfinished, told from files that somebody edited.
enum TornFile {
    /// Whether a file holds the beginning of another one, or nothing, and perhaps zeros behind.
    static func isTorn(_ file: FilePath, of whole: FilePath) -> Bool {
        guard case .file(let size) = FolderContents.kind(of: file), case .file = FolderContents.kind(of: whole) else {
            return false
        }
        if size == 0 { return true }
        guard let torn = FolderContents.read(file), let bytes = FolderContents.read(whole) else { return false }
        return isTorn(torn, of: bytes)
    }

    static func isTorn(_ torn: [UInt8], of whole: [UInt8]) -> Bool {
        let common = zip(torn, whole).prefix { $0 == $1 }.count
        return torn[common...].allSatisfy { $0 == 0 }
    }
}
