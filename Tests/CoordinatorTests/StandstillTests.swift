import Coordinator
import Testing

@Suite struct StandstillTests {
    private let start = ContinuousClock.now

    /// The steps of each second of a time; `reason` says what keeps the pages then.
    private func steps(
        _ standstill: inout Standstill, _ seconds: ClosedRange<Int>, settled: Int = 7, _ reason: (Int) -> String?
    ) -> [Standstill.Step] {
        seconds.map { standstill.note(reason($0), settled: settled, now: start + .seconds($0)) }.filter { $0 != .goOn }
    }

    @Test func `a run tells each reason once, and ends after some minutes`() {
        var standstill = Standstill()
        let said = steps(&standstill, 0...180) { $0 < 100 ? "A." : "B." }
        #expect(said == [.tell(reason: "A."), .tell(reason: "B."), .end(reason: "B.")])
    }

    @Test func `a file that is tried again each minute does not keep it waiting`() {
        var standstill = Standstill()
        let said = steps(&standstill, 0...185) { $0 % 60 < 4 && $0 > 4 ? nil : "A." }
        #expect(said.last == .end(reason: "A."))
    }

    @Test func `pages that are settled, or in hand for long, begin it anew`() {
        var standstill = Standstill()
        #expect(steps(&standstill, 0...179) { _ in "A." } == [.tell(reason: "A.")])
        #expect(steps(&standstill, 180...300, settled: 8) { _ in "A." } == [])
        // A page that takes its time.
        #expect(steps(&standstill, 301...900, settled: 8) { _ in nil } == [])
        #expect(steps(&standstill, 901...1080, settled: 8) { _ in "A." } == [])
        #expect(steps(&standstill, 1081...1081, settled: 8) { _ in "A." } == [.end(reason: "A.")])
    }
}
