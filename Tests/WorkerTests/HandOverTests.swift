import Claiming
import Shared
import Testing

@Suite struct HandOverTests {
    private func refusal(_ sqlState: String) -> DatabaseError {
        .server(sqlState: sqlState, message: "no", advice: nil)
    }

    private func isWait(_ step: HandOver.Step) -> Bool {
        if case .wait = step { true } else { false }
    }

    /// A database that restarts, is full, fails over, or shuts down.
    @Test(arguments: [
        "40001", "53100", "53300", "55P03", "57P01", "57P03", "58030", "25006", "25P03", "08006", "28P01", "42501",
    ])
    func `what is the database's own trouble is waited for`(sqlState: String) {
        var handOver = HandOver()
        for pages in [1, 16] {
            #expect(isWait(handOver.refused(refusal(sqlState), pages: pages, isFailure: false)))
        }
        #expect(isWait(handOver.refused(.connectionLost(reason: "away"), pages: 3, isFailure: false)))
        #expect(handOver.limit == .max)
    }

    @Test func `the pauses grow from a fifth of a second to five, and begin again`() {
        var handOver = HandOver()
        var pauses: [Double] = []
        for _ in 0..<7 {
            guard case .wait(let seconds) = handOver.refused(refusal("53100"), pages: 1, isFailure: false) else {
                break
            }
            pauses.append(seconds)
        }
        #expect(pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 5, 5])
        handOver.accepted()
        #expect(handOver.refused(refusal("53100"), pages: 1, isFailure: false) == .wait(seconds: 0.2))
    }

    @Test(arguments: ["57014", "53200", "XX000", "54000"])
    func `what may be too much at once goes in halves, and a single page waits`(sqlState: String) {
        var handOver = HandOver()
        for (pages, limit) in [(16, 8), (8, 4), (4, 2), (2, 1)] {
            #expect(handOver.refused(refusal(sqlState), pages: pages, isFailure: false) == .fewer)
            #expect(handOver.limit == limit)
        }
        #expect(isWait(handOver.refused(refusal(sqlState), pages: 1, isFailure: false)))
        handOver.accepted()
        #expect(handOver.limit == 2)
    }

    @Test(arguments: ["22P05", "23514"])
    func `a result that is refused is found page by page, and fails for the time being`(sqlState: String) {
        var handOver = HandOver()
        #expect(handOver.refused(refusal(sqlState), pages: 9, isFailure: false) == .fewer)
        #expect(handOver.limit == 1)
        guard case .fail(let reason) = handOver.refused(refusal(sqlState), pages: 1, isFailure: false) else {
            Issue.record("it does not fail")
            return
        }
        #expect(reason.contains("refuses the page's result") && reason.contains(sqlState))
        #expect(handOver.refused(refusal(sqlState), pages: 1, isFailure: true) == .giveUp, "not even its failure")
    }

    @Test func `pages that are not those of the lease are given up`() {
        var handOver = HandOver()
        #expect(handOver.refused(.unexpectedAnswer(reason: "?"), pages: 1, isFailure: false) == .giveUp)
    }
}
