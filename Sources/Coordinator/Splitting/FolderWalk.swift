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

    /// Endings of what stands beside a document and belongs to it.
    private static let sidecarEndings = [".password", ".truth.md"].map { Array($0.utf8) }

    /// The name of the document that a password or a truth belongs to; nil for any other name.
    private static func document(besideWhich name: [UInt8]) -> [UInt8]? {
        sidecarEndings.first { name.count > $0.count && name.suffix($0.count).elementsEqual($0) }
            .map { Array(name.dropLast($0.count)) }
    }

    /// Whether something of that name may be left out silently, as it stands beside a document.
    static func isSidecar(_ name: FilePath.Component) -> Bool {
        document(besideWhich: FolderNames.bytes(of: name)) != nil
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
    /// Passwords (`*.password`) and truth (`*.truth.md`) are left out where their document is beside them. Hidden files and
    /// folders are named and not looked into. Links to folders are not followed: a loop would never end. Nothing is looked at before the first `next()`; kept are the names of the folders that are
    /// being walked through, no more.
    package init(_ top: FilePath) { self.top = top }

    /// The next entry; nil at the end.
    package mutating func next() -> Entry? {
        while let (path, reason) = nextPath() {
            if let reason { return .passedOver(path, reason: reason) }
            guard let info = Status(path) else {
                return .unreadable(path, reason: "It cannot be opened: \(Errno(rawValue: errno)).")
            }
            switch info.kind {
            case .folder where info.isLink && path != top:
                return .passedOver(path, reason: "It is a symbolic link to a folder; submit that folder by itself.")
            case .folder:
                do throws(Errno) {
                    let names = try FolderListing.names(in: path)
                    levels.append(Level(folder: path, names: FolderNames(names)))
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

    /// The next path that is not silently left out, and why it is passed over by its name alone.
    private mutating func nextPath() -> (path: FilePath, reason: String?)? {
        guard hasBegun else {
            hasBegun = true
            return (top, nil)
        }
        while let last = levels.indices.last {
            guard let name = levels[last].names.popFirst() else {
                levels.removeLast()
                continue
            }
            let path = levels[last].folder.appending(name)
            let bytes = FolderNames.bytes(of: name)
            if bytes.first == UInt8(ascii: ".") {
                return (
                    path,
                    Self.isFolder(path)
                        ? "It is a hidden folder (its name begins with a dot); nothing in it was looked at."
                        : "It is a hidden file (its name begins with a dot)."
                )
            }
            guard let document = Self.document(besideWhich: bytes) else { return (path, nil) }
            guard !levels[last].names.contains(document) else { continue }
            let missing = FilePath(bytes: document).displayText
            return (path, "It belongs to \(missing), which is not beside it.")
        }
        return nil
    }

    private static func isFolder(_ path: FilePath) -> Bool {
        var info = stat()
        return path.withPlatformString { lstat($0, &info) } == 0 && info.st_mode & S_IFMT == S_IFDIR
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
            var stamp = FileStamp(
                size: Int64(target.st_size), seconds: target.st_mtim.tv_sec, nanoseconds: target.st_mtim.tv_nsec)
            stamp.changedNanoseconds = Int64(target.st_ctim.tv_sec) * 1_000_000_000 + Int64(target.st_ctim.tv_nsec)
            self.stamp = stamp
        }
    }
}
