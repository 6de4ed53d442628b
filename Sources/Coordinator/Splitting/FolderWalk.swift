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

    /// Calls `body` with each entry below `folder`, or with `folder` itself where that is a file.
    ///
    /// Hidden files, passwords (`*.password`) and truth (`*.truth.md`) are left out. Links to folders are not followed: a
    /// loop would never end.
    package static func visit(_ folder: FilePath, _ body: (Entry) throws -> Void) rethrows {
        var waiting = [folder]
        while let path = waiting.popLast() {
            guard let info = Status(path) else {
                try body(.unreadable(path, reason: "It cannot be opened: \(Errno(rawValue: errno))."))
                continue
            }
            switch info.kind {
            case .folder where info.isLink && path != folder:
                try body(.passedOver(path, reason: "It is a symbolic link to a folder; submit that folder by itself."))
            case .folder:
                let names: [FilePath.Component]
                do throws(Errno) {
                    names = try FolderListing.names(in: path)
                } catch {
                    try body(.unreadable(path, reason: "The folder cannot be opened: \(error)."))
                    continue
                }
                // The last one waiting is visited first.
                waiting += sorted(names.filter { !isSidecar($0) }).reversed().map { path.appending($0) }
            case .file:
                try body(.file(path, info.stamp))
            case .other:
                try body(.passedOver(path, reason: "It is no file but a device, socket or pipe."))
            }
        }
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

    /// In byte order.
    private static func sorted(_ names: [FilePath.Component]) -> [FilePath.Component] {
        names.sorted { bytes(of: $0).lexicographicallyPrecedes(bytes(of: $1)) }
    }

    private static func bytes(of name: FilePath.Component) -> [UInt8] {
        name.withPlatformString { Array(UnsafeRawBufferPointer(start: $0, count: strlen($0))) }
    }
}
