import Digest
import Shared
import SystemPackage

/// A batch of documents that exist only in the job tables.
enum SoakBatch {
    static let model = String(repeating: "cd", count: 32)

    static func path(_ document: Int) -> String { "soak/\(document).pdf" }

    /// Loads documents of so many pages; a lost range waits hardly at all for its next worker.
    static func load(_ documents: [Int], into database: Database) async throws -> Int64 {
        let queue = PageQueue(database: database)
        let batch = try await queue.openBatch(
            name: "soak", source: SourceLocation(root: "soak", path: "soak"),
            pipeline: Pipeline(modelDigest: model, mode: "base", prompt: "<image>\nFree OCR.", maxNewTokens: 512),
            priority: 0
        ).batch.id
        try await database.query("UPDATE quire.batch SET retry_seconds = 0.2 WHERE id = $1", [.int(batch)])
        let files = documents.enumerated().map { index, pages in
            ScannedFile(
                location: SourceLocation(root: "soak", path: FilePath(path(index))),
                stamp: FileStamp(size: 1, modifiedNanoseconds: 1),
                finding: .document(
                    sha256: SHA256.hash(Array("soak document \(index)".utf8)), format: .pdf, pageCount: pages))
        }
        _ = try await queue.add(files, to: batch)
        return batch
    }
}
