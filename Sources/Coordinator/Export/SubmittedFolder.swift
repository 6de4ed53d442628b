internal import Shared
internal import SystemPackage

/// A batch's folder as this machine has it; an export must not go into a folder that was submitted as a whole.
struct SubmittedFolder {
    private let batch: Batch
    /// Without symbolic links; nil where the batch's root is not known here, and then neither is the folder.
    private let path: FilePath?

    /// `roots` says where named roots are mounted here.
    init(_ batch: Batch, roots: [String: FilePath]) {
        self.batch = batch
        path = roots[batch.source.root].map { SubmittedPaths.absolute($0.appending(batch.source.path.components)) }
    }

    /// Throws where `output` is the folder or lies in it: results would be submitted the next time.
    ///
    /// The queue does not store what was named, and for files that were named one by one the batch's folder is only the one
    /// that holds them. But then it holds others that the batch does not know: of a folder that was looked into every file is
    /// listed, ignored ones too, but for passwords and truth.
    func refuse(output: FilePath, queue: PageQueue) async throws {
        guard let path, SubmittedPaths.absolute(output).starts(with: path) else { return }
        let source = batch.source
        let known = try await queue.exportOrder(batch: batch.id, 0) { known, place in
            if place.location.root == source.root, place.location.path.removingLastComponent() == source.path {
                known += 1
            }
        }
        let names = (try? FolderListing.names(in: path)) ?? []
        let present = names.count { !FolderWalk.isSidecar($0) && FolderContents.isFile(path.appending($0)) }
        guard present <= known else { return }
        try SubmittedPaths.refuse(output: output, in: [path])
    }
}
