private import Glibc
package import Shared
package import SystemPackage

/// Lists what lies in a folder and below it, by bytes and in byte order, so that two walks of one folder agree.
package struct FolderWalk: Sendable {
    /// One thing that was found.
    package enum Entry: Sendable, Equatable {
        /// A regular file, or a symbolic link to one.
        case file(FilePath, FileStamp)
        /// Something that is not looked into, and why.
        case passedOver(FilePath, reason: String)
        /// A folder or file that cannot be opened, and why.
        case unreadable(FilePath, reason: String)
    }

    /// Names that are Quire's own or nobody's documents.
    package static func isSidecar(_ name: FilePath.Component) -> Bool {
        let text = name.string
        return text.hasPrefix(".") || text.hasSuffix(".password") || text.hasSuffix(".truth.md")
    }

    private struct Level {
        let folder: FilePath
        var names: FolderNames
    }

    private let top: FilePath
    private var hasBegun = false
    /// The folders that are being walked through, the innermost last.
    private var levels: [Level] = []

    /// Begins at a folder, or at a file, which is then the only entry.
    ///
    /// Hidden files, passwords (`*.password`) and truth (`*.truth.md`) are left out. Links to folders are not followed: a
    /// loop would never end. Nothing is looked at before the first `next()`; kept are the names of the folders that are
    /// being walked through, no more.
    package init(_ top: FilePath) { self.top = top }

    /// The next entry; nil at the end.
    package mutating func next() -> Entry? {
        while let path = nextPath() {
            guard let info = Status(path) else {
                return .unreadable(path, reason: "It cannot be opened: \(Errno(rawValue: errno)).")
            }
            switch info.kind {
            case .folder where info.isLink && path != top:
                return .passedOver(path, reason: "It is a symbolic link to a folder; submit that folder by itself.")
            case .folder:
                do throws(Errno) {
                    let names = try FolderListing.names(in: path)
                    levels.append(Level(folder: path, names: FolderNames(names.filter { !Self.isSidecar($0) })))
                } catch {
                    return .unreadable(path, reason: "The folder cannot be opened: \(error).")
                }
            case .file:
                return .file(path, info.stamp)
            case .other:
                return .passedOver(path, reason: "It is no file but a device, socket or pipe.")
            }
        }
        return nil
    }

    private mutating func nextPath() -> FilePath? {
        guard hasBegun else {
            hasBegun = true
            return top
        }
        while let last = levels.indices.last {
            if let name = levels[last].names.popFirst() { return levels[last].folder.appending(name) }
            levels.removeLast()
        }
        return nil
    }

    private struct Status {
        enum Kind {
            case file
            case folder
            case other
        }

        let kind: Kind
        let isLink: Bool
        let stamp: FileStamp

        init?(_ path: FilePath) {
            var link = stat()
            var target = stat()
            guard path.withPlatformString({ lstat($0, &link) }) == 0,
                path.withPlatformString({ stat($0, &target) }) == 0
            else { return nil }
            isLink = link.st_mode & S_IFMT == S_IFLNK
            kind =
                switch target.st_mode & S_IFMT {
                case S_IFREG: .file
                case S_IFDIR: .folder
                default: .other
                }
            stamp = FileStamp(
                size: Int64(target.st_size), seconds: target.st_mtim.tv_sec, nanoseconds: target.st_mtim.tv_nsec)
        }
    }
}
