package import Shared
package import SystemPackage
package import TextDistance

/// Compares a batch's text with the truth that lies beside its documents.
///
/// The truth of `letter.pdf` is `letter.pdf.truth.md`, its pages separated by form feeds. Pages without text count as empty.
package struct TruthComparison: Sendable {
    package struct Row: Sendable, Hashable {
        /// Below the batch's folder.
        package var path: FilePath
        package var result: CharacterErrorRate

        package init(path: FilePath, result: CharacterErrorRate) {
            self.path = path
            self.result = result
        }
    }

    package let queue: PageQueue
    package let batch: Batch
    /// Where the named roots are mounted on this machine.
    package let roots: [String: FilePath]

    package init(queue: PageQueue, batch: Batch, roots: [String: FilePath]) {
        self.queue = queue
        self.batch = batch
        self.roots = roots
    }

    /// The documents that have a truth, in the order of their paths.
    package func rows() async throws -> [Row] {
        var rows: [Row] = []
        let roots = roots
        let withTruth = try await queue.exportOrder(batch: batch.id, [Int64]()) { ids, place in
            if place.isDocument, Self.truthPath(of: place.location, roots).map(FolderContents.isFile) == true {
                ids.append(place.id)
            }
        }
        for id in withTruth {
            guard let file = try await queue.files([id]).first,
                case .document(let id, _, _, let pageCount) = file.content, let truth = truth(of: file.location)
            else { continue }
            var result = CharacterErrorRate()
            var next = 1
            while next <= max(pageCount, truth.count) {
                let last = next + 63
                var texts: [Int: String] = [:]
                for page in try await queue.pages(document: id, from: next, limit: 64) {
                    texts[page.page] = page.text?.markdown
                }
                for page in next...min(last, max(pageCount, truth.count)) {
                    result += CharacterErrorRate(
                        truth: page <= truth.count ? truth[page - 1] : "", text: texts[page] ?? "")
                }
                next = last + 1
            }
            rows.append(Row(path: file.location.path(below: batch.source), result: result))
        }
        return rows
    }

    /// The sum over all documents.
    package static func overall(_ rows: [Row]) -> CharacterErrorRate {
        rows.reduce(into: CharacterErrorRate()) { $0 += $1.result }
    }

    private func truth(of location: SourceLocation) -> [String]? {
        guard let path = Self.truthPath(of: location, roots), let bytes = FolderContents.read(path) else { return nil }
        return CharacterErrorRate.pages(ofTruth: String(decoding: bytes, as: UTF8.self))
    }

    private static func truthPath(of location: SourceLocation, _ roots: [String: FilePath]) -> FilePath? {
        guard let root = roots[location.root], let name = location.path.lastComponent else { return nil }
        let parent = root.appending(location.path.removingLastComponent().components)
        return FilePath(bytes: parent.appending(name).bytes + Array(".truth.md".utf8))
    }
}
