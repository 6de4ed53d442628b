import Coordinator
import Testing

@Suite struct StandstillTests {
    @Test func `a run tells each reason once, and ends after some minutes`() {
        var standstill = Standstill()
        let start = ContinuousClock.now
        func note(_ reason: String?, after seconds: Int) -> Standstill.Step {
            standstill.note(reason, settled: 7, now: start + .seconds(seconds))
        }
        #expect(note("A.", after: 0) == .tell(reason: "A."))
        #expect(note("A.", after: 1) == .goOn)
        #expect(note("B.", after: 100) == .tell(reason: "B."))
        #expect(note("B.", after: 179) == .goOn)
        #expect(note("B.", after: 180) == .end(reason: "B."))
    }

    @Test func `pages that are settled begin it anew, and a file that is tried again does not`() {
        var standstill = Standstill()
        let start = ContinuousClock.now
        #expect(standstill.note("A.", settled: 1, now: start) == .tell(reason: "A."))
        #expect(standstill.note(nil, settled: 1, now: start + .seconds(50)) == .goOn)
        #expect(standstill.note("A.", settled: 2, now: start + .seconds(100)) == .goOn)
        #expect(standstill.note(nil, settled: 2, now: start + .seconds(200)) == .goOn)
        #expect(standstill.note("A.", settled: 2, now: start + .seconds(279)) == .goOn)
        #expect(standstill.note("A.", settled: 2, now: start + .seconds(280)) == .end(reason: "A."))
    }
}
