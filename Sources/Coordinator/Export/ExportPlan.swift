internal import Shared
internal import SystemPackage

/// Which files an export has, in their order, and where each document goes.
struct ExportPlan {
    private let source: SourceLocation
    /// The numbers of all files.
    let files: [Int64]
    /// The places of those documents whose own paths do not do.
    private let settled: [Int64: FilePath]

    static func make(queue: PageQueue, batch: Batch, folder: ExportFolder) async throws -> ExportPlan {
        struct Survey: Sendable {
            var files: [Int64] = []
            var names: NameSurvey
        }
        let earlier = EarlierList.renamed(folder.path.appending(ExportNaming.batchFile), in: batch.source)
        var survey = try await queue.exportOrder(batch: batch.id, Survey(names: NameSurvey(source: batch.source))) {
            $0.files.append($1.id)
            if $1.isDocument { $0.names.add($1.location) }
        }
        survey.names.finish()
        let names = survey.names
        guard names.hasDoubts || !earlier.isEmpty else {
            return ExportPlan(source: batch.source, files: survey.files, settled: [:])
        }
        let doubtful = try await queue.exportOrder(batch: batch.id, [ExportPlace]()) { doubtful, place in
            guard place.isDocument, earlier[place.location] != nil || names.isDoubtful(place.location) else { return }
            doubtful.append(place)
        }
        let places = names.settle(doubtful.map(\.location), earlier: earlier) { folder.holder(of: $0) }
        return ExportPlan(
            source: batch.source, files: survey.files,
            settled: Dictionary(zip(doubtful.map(\.id), places)) { first, _ in first })
    }

    func place(of file: ExportFile) -> FilePath {
        settled[file.id] ?? ExportNaming.preferred(for: file.location, in: source)
    }
}
