private import Dispatch
private import Glibc
internal import Shared
internal import SystemPackage

/// Files that the batch knows below the submitted paths, and that are there no more.
///
/// A share that is not mounted looks like a folder from which all has been taken away. So files below a folder that has no
/// entry at all, or that is not there itself, are held back: nothing is changed about them unless `forgetsMissing`.
struct GoneFiles {
    let queue: PageQueue
    let batch: Batch
    /// Where the batch's root lies on this machine.
    let root: FilePath
    /// The submitted paths, below the root.
    let paths: [FilePath]
    let forgetsMissing: Bool

    /// Files that one statement brings.
    private static let chunk = 1000
    /// So many are named; the rest are counted.
    private static let mostNamed = 20

    struct Findings: Sendable {
        /// Files that are marked as gone now.
        var count = 0
        /// The first of them, below the batch's folder.
        var paths: [FilePath] = []
        /// Files that were held back, and the folder that has none of them.
        var heldBack = 0
        var emptyFolder: FilePath?
    }

    /// Marks what is gone, after a walk that found so many files and came to its end.
    ///
    /// Where the walk found as many as the batch knows, no file is looked at again.
    func mark(found: Int) async throws -> Findings {
        var findings = Findings()
        // As they are stored: relative to the root.
        let below = paths.map { path in
            var relative = path
            _ = relative.removePrefix(root)
            relative.root = nil
            return relative
        }
        let known = try await queue.liveFileCount(batch: batch.id, root: batch.source.root, below: below)
        guard known != found || isOverlapping else { return findings }
        var last: PageQueue.LiveFile?
        while true {
            try Task.checkCancellation()
            let files = try await queue.liveFiles(
                batch: batch.id, root: batch.source.root, below: below, after: last, limit: Self.chunk)
            guard let end = files.last else { return findings }
            last = end
            let looks = await look(at: files)
            let gone = zip(files, looks).filter { $0.1 == .gone }.map(\.0)
            for case (_, .heldBack(let folder)) in zip(files, looks) {
                findings.heldBack += 1
                findings.emptyFolder = findings.emptyFolder ?? folder
            }
            guard !gone.isEmpty else { continue }
            findings.count += try await queue.markGone(gone.map(\.id), batch: batch.id)
            let room = max(0, Self.mostNamed - findings.paths.count)
            findings.paths += gone.prefix(room).map { $0.location.path(below: batch.source) }
        }
    }

    /// Whether one of the paths lies below another: what lies there was found twice.
    private var isOverlapping: Bool {
        paths.indices.contains { one in paths.indices.contains { $0 != one && paths[one].starts(with: paths[$0]) } }
    }

    // MARK: Looking

    private enum Look: Sendable, Equatable {
        case there
        case gone
        /// Nothing but emptiness speaks for its being gone.
        case heldBack(folder: FilePath)
    }

    /// Looks on a thread that may block.
    private func look(at files: [PageQueue.LiveFile]) async -> [Look] {
        let places = files.map { root.appending($0.location.path.components) }
        let (mount, forgets) = (root, forgetsMissing)
        return await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                var folders: [FilePath: Look] = [:]
                continuation.resume(
                    returning: places.map { Self.look(at: $0, in: mount, forgetsMissing: forgets, &folders) })
            }
        }
    }

    /// `folders` remembers what the closest folder that is there says of files that are not.
    private static func look(
        at path: FilePath, in root: FilePath, forgetsMissing: Bool, _ folders: inout [FilePath: Look]
    ) -> Look {
        switch kind(of: path) {
        case .failure(let error): guard isAbsence(error) else { return .there }
        case .success(let isFolder):
            // A folder is no file: it was one that could not be opened, or has taken a file's place. Hidden ones are
            // listed as they are.
            guard isFolder, path.lastComponent?.string.hasPrefix(".") == false,
                (try? FolderListing.names(in: path)) != nil
            else { return .there }
            return .gone
        }
        var folder = path.removingLastComponent()
        var below: [FilePath] = []
        var look: Look?
        while look == nil {
            if let known = folders[folder] {
                look = known
            } else if case .failure(let error) = kind(of: folder) {
                below.append(folder)
                // Who cannot look does not know.
                if !isAbsence(error) || !folder.removeLastComponent() { look = .there }
            } else {
                below.append(folder)
                do throws(Errno) {
                    let isEmpty = try FolderListing.isEmpty(folder)
                    look = isEmpty || !folder.starts(with: root) ? .heldBack(folder: folder) : .gone
                } catch {
                    look = error == .notDirectory ? .gone : .there
                }
            }
        }
        let found = look ?? .there
        for folder in below { folders[folder] = found }
        guard forgetsMissing, case .heldBack = found else { return found }
        return .gone
    }

    private static func isAbsence(_ error: Errno) -> Bool { error == .noSuchFileOrDirectory || error == .notDirectory }

    /// Whether a folder is there, or something else; links count as what they are.
    private static func kind(of path: FilePath) -> Result<Bool, Errno> {
        var info = stat()
        guard path.withPlatformString({ lstat($0, &info) }) == 0 else { return .failure(Errno(rawValue: errno)) }
        return .success(info.st_mode & S_IFMT == S_IFDIR)
    }
}
