internal import Dispatch
private import Glibc
internal import Inference
internal import Shared
package import SystemPackage

/// Fetches a model's files into a directory and checks every byte.
package struct ModelPuller: Sendable {
    private var fetcher: FileFetcher
    /// What was asked for; the fetcher's is at one commit once that is known.
    private let repository: ModelRepository
    private let directory: FilePath
    private let isUpdating: Bool
    private let progress: PullProgress

    /// The token is sent only to the repository's endpoint.
    ///
    /// A directory that holds a commit of the same branch or tag keeps it, unless `isUpdating`.
    /// `firstPause` is the time in seconds before a second attempt, doubled each time; `window` the most bytes that are
    /// asked for in one request.
    package init(
        repository: ModelRepository, directory: FilePath, token: String?, output: PullProgress.Output,
        isUpdating: Bool = false, firstPause: Double = 1, window: Int64 = 128 << 20
    ) {
        progress = PullProgress(output)
        var patience = FileFetcher.Patience()
        patience.firstPause = firstPause
        fetcher = FileFetcher(
            client: HTTPClient(userAgent: "quire/\(QuireVersion.current)"), repository: repository, token: token,
            progress: progress, patience: patience, window: window)
        self.repository = repository
        self.directory = directory
        self.isUpdating = isUpdating
    }

    /// Fetches what is missing; files that are there and right are left alone.
    ///
    /// The model that the directory holds stays as it is until all of the new one has arrived and is right: then it changes
    /// as a whole, see `ModelChange`.
    ///
    /// - Returns: The manifest, which lies beside the files too.
    @discardableResult
    package func pull() async throws(ModelStoreError) -> ModelManifest {
        var puller = self
        return try await puller.pullOneCommit()
    }

    /// Settles the commit first: a branch that moves between two files would mix two models.
    private mutating func pullOneCommit() async throws(ModelStoreError) -> ModelManifest {
        progress.note(
            "\(repository.name) (\(repository.revision)) from \(repository.endpoint) to \(directory.displayText)")
        let commit = try await wantedCommit()
        if let commit { fetcher.repository = repository.at(commit: commit) }
        let files = try await fetcher.listing()
        try makeDirectory()
        var manifest = ModelManifest(
            endpoint: repository.endpoint, repository: repository.name, revision: repository.revision, commit: commit,
            files: [])
        var missing: [RemoteFile] = []
        for file in files {
            if let digest = try await present(file) {
                progress.note("\(file.name): already there, \(ByteCount.text(file.size))")
                manifest.add(file, digest)
                try checkIndex(file, at: directory.appending(file.name), files)
            } else {
                missing.append(file)
            }
        }
        try checkSpace(for: missing)
        // Until the last of them is here and right, the directory keeps the model that it has.
        var arrived: [ModelChange.Arrival] = []
        for file in missing {
            let (part, digest) = try await fetch(file)
            manifest.add(file, digest)
            try checkIndex(file, at: part.path, files)
            arrived.append(ModelChange.Arrival(part: part, name: file.name))
        }
        // In the listing's order, whatever was there already.
        let order = Dictionary(uniqueKeysWithValues: files.enumerated().map { ($0.element.name, $0.offset) })
        manifest.files.sort { (order[$0.name] ?? 0) < (order[$1.name] ?? 0) }
        let change = ModelChange(directory: directory, manifest: manifest, arrived: arrived)
        try change.carryOut { progress.note($0) }
        return manifest
    }

    /// The commit to fetch; nil where the server does not tell commits.
    private func wantedCommit() async throws(ModelStoreError) -> String? {
        // A manifest that cannot be read names no commit; a whole pull replaces it. A change that was cut off is completed.
        let held = [ModelManifest.unfinishedName, ModelManifest.fileName].lazy
            .compactMap { (try? ModelManifest.read(directory, name: $0)).flatMap(\.self) }
            .first { $0.repository == repository.name }
        guard !repository.isPinned else {
            if let before = held?.commit, before != repository.revision {
                progress.note("The directory held commit \(before); it will hold commit \(repository.revision).")
            }
            return repository.revision
        }
        let current = try await fetcher.commit()
        guard let current else {
            if let before = held?.commit {
                throw .badAnswer(
                    url: repository.commitURL,
                    reason:
                        "it does not say which commit \(repository.revision) is, and \(directory.displayText) holds "
                        + "commit \(before). To fetch that one, give --revision \(before)")
            }
            progress.note(
                "The server does not say which commit \(repository.revision) is: a later pull may bring another model.")
            return nil
        }
        guard let held, held.revision == repository.revision, let before = held.commit, before != current else {
            progress.note("\(repository.revision) is commit \(current)")
            return current
        }
        guard isUpdating else {
            progress.note(
                "\(repository.revision) is commit \(current) now. The directory holds commit \(before) and keeps it: "
                    + "pages read by another commit are read by another model. To change to it, add --update.")
            return before
        }
        progress.note("\(repository.revision) was commit \(before) here, and is commit \(current) now.")
        return current
    }

    /// The digest of a file that needs no fetching; nil for any other.
    private func present(_ file: RemoteFile) async throws(ModelStoreError) -> ContentDigest? {
        let path = directory.appending(file.name)
        guard Self.size(of: path) == file.size else { return nil }
        let digest = try await Self.digest(of: path, as: file)
        return digest.matching(file.digest) == file.digest.hex ? digest : nil
    }

    /// Fetches what is missing of a file and checks the whole; it waits beside its place, also for the next pull.
    private func fetch(_ file: RemoteFile) async throws(ModelStoreError) -> (PartFile, ContentDigest) {
        removeOlderParts(of: file)
        let part = try PartFile(for: file, in: directory, progress: progress)
        if part.length > 0 {
            progress.note("\(file.name): going on after \(ByteCount.text(part.length)) of \(ByteCount.text(file.size))")
        }
        progress.begin(file.name, size: file.size, start: part.length)
        try await fetcher.fill(part, from: file.name)
        let digest = try await Self.digest(of: part.path, as: file)
        let found = digest.matching(file.digest)
        guard found == file.digest.hex else {
            part.discard()
            throw .wrongDigest(
                file: file.name, url: fetcher.repository.fileURL(file.name), expected: file.digest.hex, found: found)
        }
        try part.sync()
        progress.note("\(file.name): \(ByteCount.text(file.size)), checked")
        return (part, digest)
    }

    /// What has arrived of other revisions of a file is of no use any more.
    private func removeOlderParts(of file: RemoteFile) {
        for component in (try? FolderListing.names(in: directory)) ?? [] {
            let name = component.string
            guard name != file.partName, RemoteFile.name(ofPart: name) == file.name else { continue }
            _ = directory.appending(component).withPlatformString { unlink($0) }
        }
    }

    /// Throws where the index of the weights, which comes before them, names files that are not to be had.
    private func checkIndex(
        _ file: RemoteFile, at path: FilePath, _ files: [RemoteFile]
    ) throws(ModelStoreError) {
        guard file.name == RemoteFile.indexName else { return }
        let index: JSONValue
        do {
            index = try JSONValue(parsing: MappedFile(path).bytes())
        } catch {
            throw .unusableFile(path, reason: "\(error)")
        }
        let named = Set((index["weight_map"]?.members ?? []).compactMap(\.value.text))
        if let lost = named.sorted().first(where: { name in !files.contains { $0.name == name } }) {
            throw .notAModel(
                url: fetcher.repository.listingURL, reason: "\(file.name) names \(lost), which is not listed")
        }
    }

    private func checkSpace(for files: [RemoteFile]) throws(ModelStoreError) {
        let needed = files.reduce(Int64(0)) { sum, file in
            sum + max(0, file.size - (Self.size(of: directory.appending(file.partName)) ?? 0))
        }
        guard needed > 0, let free = DiskSpace.free(at: directory) else { return }
        // A disk that is filled to the last byte troubles every other program.
        guard free > needed + 64 << 20 else { throw .noSpace(directory, needed: needed + 64 << 20, free: free) }
    }

    private func makeDirectory() throws(ModelStoreError) {
        var path = FilePath(root: directory.root)
        for component in directory.components {
            path.append(component)
            guard path.withPlatformString({ mkdir($0, 0o755) }) != 0, errno != EEXIST else { continue }
            let reason = Errno(rawValue: errno)
            guard path.withPlatformString({ access($0, F_OK) }) != 0 else { continue }
            throw .unusableFile(path, reason: "it cannot be made: \(reason). Choose another place by --out DIR")
        }
    }

    private static func size(of path: FilePath) -> Int64? {
        var status = stat()
        guard path.withPlatformString({ stat($0, &status) }) == 0, status.st_mode & S_IFMT == S_IFREG else {
            return nil
        }
        return Int64(status.st_size)
    }

    /// Reads a file away from the cooperative threads: it may have gigabytes.
    private static func digest(of path: FilePath, as file: RemoteFile) async throws(ModelStoreError) -> ContentDigest {
        let wantsGitBlob = if case .gitBlob = file.digest { true } else { false }
        let result: Result<ContentDigest, ModelStoreError> = await withCheckedContinuation { continuation in
            DispatchQueue(label: "quire.model-digest").async {
                continuation.resume(
                    returning: Result { () throws(ModelStoreError) in
                        try ContentDigest(contentsOf: path, gitBlob: wantsGitBlob)
                    })
            }
        }
        return try result.get()
    }
}

extension ModelManifest {
    fileprivate mutating func add(_ file: RemoteFile, _ digest: ContentDigest) {
        files.append(File(name: file.name, size: digest.size, sha256: digest.sha256))
    }
}

/// The room on the file system of a directory.
package enum DiskSpace {
    /// Free bytes for this user; nil where nobody says.
    package static func free(at directory: FilePath) -> Int64? {
        var path = directory
        var status = statvfs()
        // A directory that is still to be made lies on the file system of the one above it.
        while path.withPlatformString({ statvfs($0, &status) }) != 0 {
            guard errno == ENOENT, path.removeLastComponent() else { return nil }
        }
        return Int64(
            clamping: UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize)).partialValue)
    }
}
