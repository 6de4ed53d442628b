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

    /// Questions that have not been answered, by their number.
    private let questions = Mutex<[Int: Question]>([:])

    private struct Question {
        var root: String
        var asked = ContinuousClock.now
    }

    /// For how long a look at a folder is waited for.
    private static let patience = Duration.seconds(20)
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
        guard let root = files.first?.root else { return false }
        return await ask(root, orElse: false) { [self] in
            files.contains { file in
                guard let path = path(of: file), let source = try? SourceFile(path) else { return false }
                // An empty file can be read as well as any.
                return (try? source.firstBytes(1)) != nil
            }
        }
    }

    /// Whether a file of a batch is missing, and what the closest folder above it that is there says of that.
    package func absence(of file: SourceLocation, in folder: SourceLocation) async -> FileAbsence {
        await ask(file.root, orElse: .unknown) { [self] in
            // Of a root that is not known here nobody can tell.
            guard let whole = path(of: folder), let path = path(of: file) else { return .unknown }
            guard path.withPlatformString({ access($0, F_OK) }) != 0, errno == ENOENT || errno == ENOTDIR else {
                return .unknown
            }
            var folder = path
            repeat {
                // The source of a single file may be the file.
                guard folder != whole, folder.removeLastComponent() else { return .withoutBatch }
                do throws(Errno) {
                    guard try FolderListing.isEmpty(folder) else { return .moved }
                    return folder == whole ? .withoutBatch : .underEmptyFolder
                } catch {
                    if error == .notDirectory { return .moved }
                    guard error == .noSuchFileOrDirectory else { return .unknown }
                }
            } while true
        }
    }

    /// Looks on a thread that may block; `otherwise` where there is no answer in time, or where one is owed already: each
    /// such question leaves a thread behind until its root answers.
    private func ask<T: Sendable>(
        _ root: String, orElse otherwise: T, _ body: @escaping @Sendable () -> T
    ) async -> T {
        let number: Int? = questions.withLock { questions in
            let now = ContinuousClock.now
            let isOwed = questions.values.contains { $0.root == root && now - $0.asked > Self.patience }
            guard !isOwed else { return nil }
            let number = (questions.keys.max() ?? 0) + 1
            questions[number] = Question(root: root)
            return number
        }
        guard let number else { return otherwise }
        do throws(RenderError) {
            return try await PatientReading.run(patience: Self.patience) { [self] _ throws(RenderError) in
                defer { questions.withLock { _ = $0.removeValue(forKey: number) } }
                return body()
            }
        } catch {
            return otherwise
        }
    }

    private func path(of file: SourceLocation) -> FilePath? { roots[file.root]?.appending(file.path.components) }
}
