import Mutations
import Rendering
import SystemPackage
import TestSupport
import Testing

/// Sound files of all formats, spoilt: `make bench-mutations` makes 2,000 others.
@Suite struct `Spoilt files` {
    private static let project =
        FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()

    @Test func `are the same for the same number, and others for another`() {
        let bytes = (0..<5000).map { UInt8(truncatingIfNeeded: $0 * 7) }
        for number in 0..<20 {
            let spoilt = Mutation(number: number).applied(to: bytes)
            #expect(spoilt == Mutation(number: number).applied(to: bytes))
            #expect(spoilt != bytes && spoilt != Mutation(number: number + 5).applied(to: bytes))
        }
    }

    @Test func `that are sound before are seen as such`() async throws {
        let renderer = try PageRenderer.underTest()
        let inspector = DocumentInspector(renderer)
        let folder = try TemporaryDirectory()
        #expect(MutationSeeds.files(in: Self.project).count == MutationSeeds.names.count)
        for name in MutationSeeds.names {
            let file = Self.project.appending(name)
            let trial = await MutationTrial(file, inspector: inspector, renderer: renderer)
            #expect(trial.errors.isEmpty && trial.isOrderly, "\(name): \(trial.errors)")
            #expect(
                trial.documentNotes.isEmpty && trial.pages.allSatisfy { $0.notes.isEmpty }, "\(name): \(trial.pages)")
            #expect(try trial.silence(file, in: folder.path) == [], "\(name)")
        }
    }

    @Test func `hang nothing, break no agreement, and pass in silence only where no other tool complains`()
        async throws
    {
        let folder = try TemporaryDirectory()
        let renderer = try PageRenderer.underTest(RenderLimits(secondsPerPage: 30))
        let inspector = DocumentInspector(renderer)
        let files = MutationSeeds.files(in: Self.project)
        var silences: [String] = []
        for number in 0..<100 {
            // A file meets another kind of mutation in each round.
            let (name, bytes) = files[(number + number / files.count) % files.count]
            let mutation = Mutation(number: number)
            let base = FilePath(name).lastComponent?.string ?? ""
            let file = try folder.write(mutation.applied(to: bytes, seed: 100), as: "\(number)-\(base)")
            let trial = await MutationTrial(file, inspector: inspector, renderer: renderer)
            #expect(trial.isOrderly, "\(mutation) of \(base): \(trial.errors)")
            silences += try trial.silence(file, in: folder.path)
                .filter { AcceptedComplaint.reason(for: $0) == nil }.map { "\(mutation) of \(base): \($0)" }
        }
        #expect(silences.isEmpty, "\(silences.count) complaints:\n\(silences.joined(separator: "\n"))")
    }
}
