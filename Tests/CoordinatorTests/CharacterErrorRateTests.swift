import Coordinator
import Foundation
import Shared
import SystemPackage
import TestSupport
import Testing
import TextDistance

@Suite struct CharacterErrorRateTests {
    @Test(arguments: [
        ("", "", 0), ("abc", "abc", 0), ("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("flaw", "lawn", 2),
        ("abcdef", "azced", 3), ("ab", "ba", 2),
    ])
    func `The distance is the least number of edits`(one: String, other: String, edits: Int) {
        let (one, other) = (Array(one.unicodeScalars), Array(other.unicodeScalars))
        #expect(EditDistance.between(one, other) == edits)
        #expect(EditDistance.between(other, one) == edits)
    }

    @Test func `White space and the marks of headings do not count`() {
        let result = CharacterErrorRate(truth: "# Title\n\nOne  two\n", text: "Title One\n\ttwo")
        #expect(result == CharacterErrorRate(edits: 0, characters: 13))
        #expect(CharacterErrorRate(truth: "## A # b", text: "A # b").edits == 0)
        #expect(CharacterErrorRate(truth: "A # b", text: "A b").edits == 2)
    }

    @Test func `Pages are compared one by one, and one that is missing counts in full`() {
        let result = CharacterErrorRate(truth: ["abc", "de"], pages: ["abd"])
        #expect(result == CharacterErrorRate(edits: 3, characters: 5))
        #expect(CharacterErrorRate(truth: ["abc"], pages: ["abc", "x"]).edits == 1)
        #expect(CharacterErrorRate(truth: [""], pages: [""]).rate == nil)
        #expect(CharacterErrorRate(truth: ["abcd"], pages: ["abce"]).rate == 0.25)
    }

    @Test func `A batch is compared with the truth beside its documents`() async throws {
        let fixture = try await ExportFixture(folder: "archive")
        let archive = fixture.scratch.path.appending("archive")
        try FileManager.default.createDirectory(atPath: archive.string, withIntermediateDirectories: false)
        try fixture.write("# One\n\nwords\n\u{C}Two\n", to: archive.appending("a.pdf.truth.md"))
        try fixture.write("Three", to: archive.appending("b.pdf.truth.md"))
        try await fixture.add("archive/a.pdf", pages: 2)
        try await fixture.add("archive/b.pdf", pages: 1)
        try await fixture.add("archive/c.pdf", pages: 1)
        try await fixture.record { $0 == 1 ? ExportFixture.text("# One\n\nwards") : ExportFixture.text("Two") }
        let rows = try await TruthComparison(
            queue: fixture.queue, batch: fixture.batch, roots: ["local": fixture.scratch.path]
        ).rows()
        #expect(rows.map(\.path) == ["a.pdf", "b.pdf"])
        #expect(rows[0].result == CharacterErrorRate(edits: 1, characters: 12))
        #expect(rows[1].result.characters == 5)
        #expect(TruthComparison.overall(rows).characters == 17)
        #expect(TruthSummary(rows).lines.count == 4)
        #expect(TruthSummary(rows).lines[1].hasSuffix("8.33 %"))
    }
}
