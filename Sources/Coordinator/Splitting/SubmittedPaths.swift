private import Glibc
package import Shared
package import SystemPackage

/// The paths of a submission as all machines can name them: a root, and a folder below it that holds all of them.
package struct SubmittedPaths: Sendable, Equatable {
    /// The batch's folder.
    package let source: SourceLocation
    /// Where the root lies on this machine, without symbolic links.
    package let root: FilePath
    /// What was named, without symbolic links.
    package let paths: [FilePath]
    /// Those of the paths that are not there; taken for folders.
    package let missing: [FilePath]

    /// Finds the root that lies closest above the given paths.
    ///
    /// `roots` says where named roots are mounted here; one of them should be `/`. Throws where a path is not there, unless
    /// `allowsMissing`.
    package init(
        _ given: [FilePath], roots: [String: FilePath], allowsMissing: Bool = false
    ) throws(CommandFailure) {
        var paths: [FilePath] = []
        var missing: [FilePath] = []
        for path in given {
            var real = Self.real(path)
            if real == nil {
                let error = Errno(rawValue: errno)
                guard error == .noSuchFileOrDirectory else {
                    throw CommandFailure(
                        .usage, "\(path.displayText) cannot be opened: \(error). Nothing was submitted.")
                }
                guard allowsMissing else {
                    throw CommandFailure(
                        .usage,
                        "\(path.displayText) cannot be opened: \(error). Nothing was submitted. If it is gone for good and a "
                            + "batch still knows its files, add --forget-missing.")
                }
                let whole = Self.absolute(path)
                missing.append(whole)
                real = whole
            }
            if let real, !paths.contains(real) { paths.append(real) }
        }
        var folder = Self.folder(of: paths, missing: missing)
        // A root that is not there now is no root of these files.
        let mounts = roots.compactMap { name, path in Self.real(path).map { (name: name, path: $0) } }
            .filter { folder.starts(with: $0.path) }
            .sorted { ($0.path.components.count, $1.name) > ($1.path.components.count, $0.name) }
        guard let mount = mounts.first else {
            throw CommandFailure(
                .usage, "\(folder.displayText) lies below no root: name one of its folders by --root NAME=/PATH.")
        }
        _ = folder.removePrefix(mount.path)
        folder.root = nil
        source = SourceLocation(root: mount.name, path: folder)
        root = mount.path
        self.paths = paths
        self.missing = missing
    }

    /// Throws where `output` is one of the submitted folders or lies in one: results would be submitted the next time.
    package func refuse(output: FilePath) throws(CommandFailure) { try Self.refuse(output: output, in: paths) }

    /// Throws where `output` is one of these folders, whose paths have no symbolic links, or lies in one.
    static func refuse(output: FilePath, in folders: [FilePath]) throws(CommandFailure) {
        let whole = absolute(output)
        guard let folder = folders.first(where: { whole.starts(with: $0) }) else { return }
        throw CommandFailure(
            .usage,
            """
            The results cannot go to \(whole.displayText), which lies in the submitted folder \(folder.displayText): \
            they would be read as documents the next time. Choose another --out.
            """)
    }

    /// The path without symbolic links, as far as it is there.
    static func absolute(_ path: FilePath) -> FilePath {
        var existing = ModelLocation.absolute(path)
        var missing: [FilePath.Component] = []
        var real = Self.real(existing)
        while real == nil, let last = existing.lastComponent {
            missing.insert(last, at: 0)
            existing.removeLastComponent()
            real = Self.real(existing)
        }
        return (real ?? existing).appending(missing)
    }

    /// The path without symbolic links; nil with `errno` set where it leads nowhere.
    private static func real(_ path: FilePath) -> FilePath? {
        guard let text = path.withPlatformString({ realpath($0, nil) }) else { return nil }
        defer { free(text) }
        return FilePath(platformString: text)
    }

    /// The one folder that was named, or the closest one that holds everything.
    private static func folder(of paths: [FilePath], missing: [FilePath]) -> FilePath {
        guard var folder = paths.first else { return "/" }
        if paths.count == 1 { return isFolder(folder) || !missing.isEmpty ? folder : folder.removingLastComponent() }
        for path in paths {
            let parent = path.removingLastComponent()
            while !parent.starts(with: folder) { folder.removeLastComponent() }
        }
        return folder
    }

    private static func isFolder(_ path: FilePath) -> Bool {
        var info = stat()
        return path.withPlatformString { stat($0, &info) } == 0 && info.st_mode & S_IFMT == S_IFDIR
    }
}
