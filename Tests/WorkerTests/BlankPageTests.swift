import Rendering
import Testing
import Worker

@Suite struct BlankPageTests {
    /// White, but for a full stop of 12 pt where there is ink.
    private static func page(isInked: Bool) -> PageImage {
        var bytes = [UInt8](repeating: 255, count: 120 * 160 * 3)
        if isInked {
            for y in 80..<88 { for at in (y * 120 + 40) * 3..<(y * 120 + 48) * 3 { bytes[at] = 0 } }
        }
        return PageImage(width: 120, height: 160, bytes: bytes, dpi: 144)
    }

    @Test func `a page without ink is blank where nothing was noted`() {
        #expect(BlankPage.verdict(Self.page(isInked: false), notes: []) == .blank)
        #expect(BlankPage.verdict(Self.page(isInked: true), notes: []) == .inked)
    }

    @Test(arguments: RenderNote.Code.allCases)
    func `a page without ink is blank only where no note leaves a doubt`(code: RenderNote.Code) {
        let note = RenderNote(code, "Rows 1 to 160 are missing.")
        let verdict = BlankPage.verdict(Self.page(isInked: false), notes: [note])
        let reason =
            "Nothing of the page could be drawn, so that it cannot be taken for blank: Rows 1 to 160 are missing."
        #expect(verdict == (note.leavesDoubt ? .unproven(reason: reason) : .blank))
        #expect(BlankPage.verdict(Self.page(isInked: true), notes: [note]) == .inked)
    }

    @Test func `a reason quotes the doubts and no other notes, three at most`() {
        let reduced = RenderNote(.pictureReduced, "It was halved.")
        let doubts = (1...5).map { RenderNote(.contentDamaged, "Object \($0) is damaged.") }
        let blank = Self.page(isInked: false)
        #expect(
            BlankPage.verdict(blank, notes: [reduced, doubts[0]])
                == .unproven(
                    reason: "Nothing of the page could be drawn, so that it cannot be taken for blank: Object 1 is "
                        + "damaged."))
        guard case .unproven(let reason) = BlankPage.verdict(blank, notes: doubts) else {
            Issue.record("It is taken for blank.")
            return
        }
        #expect(reason.hasSuffix("Object 3 is damaged. And 2 more."))
    }
}
