package import Claiming
internal import Digest
internal import Glibc
internal import Rendering
package import Shared
internal import Synchronization
package import SystemPackage

/// The archive's folders as this machine has them mounted.
package final class ArchiveFolders: Sendable {
    /// Where this machine has mounted each named root.
    private let roots: [String: FilePath]
    /// Digests of files that were hashed before: each range of a document asks again.
    private let digests = Mutex<[FileIdentity: SHA256Digest]>([:])

    /// Some megabytes of memory.
    private static let mostDigests = 20_000

    package init(roots: [String: FilePath]) { self.roots = roots }

    /// The lease's file, opened and found to hold the lease's content.
    package func open(_ lease: Lease) async throws(LeaseProblem) -> LeasedFile {
        guard let path = path(of: lease.file) else {
            throw LeaseProblem(.file, reason: "The worker does not know the root '\(lease.file.root)' of this file.")
        }
        do throws(RenderError) {
            return try await PatientReading.run { [self] progress throws(RenderError) in
                let source = try SourceFile(path)
                let begun = FileIdentity.now
                let isFirm = !source.identity.isYoung(at: begun)
                if !isFirm || !Self.isStamped(source.identity, lease) {
                    guard try digest(of: source, isFirm: isFirm, progress) == lease.sha256 else {
                        throw RenderError(.changed, LeasedFile.changed)
                    }
                }
                return LeasedFile(source, sha256: lease.sha256, isFirm: isFirm)
            }
        } catch {
            throw LeaseProblem(error)
        }
    }

    /// Whether the file stands as it was hashed when it was submitted.
    private static func isStamped(_ identity: FileIdentity, _ lease: Lease) -> Bool {
        lease.stamp.size == identity.size && lease.stamp.modifiedNanoseconds == identity.modifiedNanoseconds
            && lease.stamp.changedNanoseconds == identity.changedNanoseconds
    }

    private func digest(
        of source: SourceFile, isFirm: Bool, _ progress: PatientReading.Progress
    ) throws(RenderError) -> SHA256Digest {
        if isFirm, let known = digests.withLock({ $0[source.identity] }) { return known }
        let digest = try source.digest(progress)
        try source.checkUnchanged()
        if isFirm {
            digests.withLock { digests in
                if digests.count >= Self.mostDigests { digests.removeAll(keepingCapacity: true) }
                digests[source.identity] = digest
            }
        }
        return digest
    }

    /// Whether one of these files can be opened and read.
    package func canRead(anyOf files: [SourceLocation]) async -> Bool {
        await PageRenderer.blocking { [self] () throws(Never) in
            files.contains { file in
                guard let path = path(of: file), let source = try? SourceFile(path) else { return false }
                // An empty file can be read as well as any.
                return (try? source.firstBytes(1)) != nil
            }
        }
    }

    /// Whether a file of a batch is missing, and what the closest folder above it that is there says of that.
    package func absence(of file: SourceLocation, in folder: SourceLocation) async -> FileAbsence {
        await PageRenderer.blocking { [self] () throws(Never) in
            // Of a root that is not known here nobody can tell.
            guard let whole = path(of: folder), let path = path(of: file) else { return .unknown }
            guard path.withPlatformString({ access($0, F_OK) }) != 0, errno == ENOENT || errno == ENOTDIR else {
                return .unknown
            }
            var folder = path
            repeat {
                // The source of a single file may be the file.
                guard folder != whole, folder.removeLastComponent() else { return .withoutBatch }
                switch Self.isEmpty(folder) {
                case .success(false), .failure(.notDirectory): return .moved
                case .success(true): return folder == whole ? .withoutBatch : .underEmptyFolder
                case .failure(.noSuchFileOrDirectory): continue
                case .failure: return .unknown
                }
            } while true
        }
    }

    /// Whether a folder holds nothing.
    private static func isEmpty(_ folder: FilePath) -> Result<Bool, Errno> {
        guard let directory = folder.withPlatformString({ opendir($0) }) else {
            return .failure(Errno(rawValue: errno))
        }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { return .success(false) }
        }
        return .success(true)
    }

    private func path(of file: SourceLocation) -> FilePath? { roots[file.root]?.appending(file.path.components) }
}
