import Claiming
import Shared
import Testing

@Suite struct LeaseLedgerTests {
    private func ledger(_ pages: ClosedRange<Int>, recordedElsewhere: Set<Int> = []) -> LeaseLedger {
        LeaseLedger(pages: pages, recordedElsewhere: recordedElsewhere)
    }

    private func pages(_ batch: LeaseLedger.Batch?) -> [Int]? {
        batch?.outcomes.map(\.page)
    }

    @Test func `pages that finish out of order wait for those before them`() {
        var ledger = ledger(5...9)
        for page in [7, 9, 6] { ledger.add(WorkerFixture.blank(page)) }
        #expect(ledger.nextBatch == nil)
        #expect(!ledger.needs(7) && ledger.needs(5) && ledger.needs(8))
        ledger.add(WorkerFixture.blank(5))
        #expect(pages(ledger.nextBatch) == [5, 6, 7])
        ledger.apply(.accepted(remaining: 8...9))
        #expect(ledger.nextBatch == nil, "9 waits for 8")
        ledger.add(WorkerFixture.blank(8))
        #expect(pages(ledger.nextBatch) == [8, 9])
        ledger.apply(.accepted(remaining: nil))
        #expect(ledger.remaining == nil && ledger.nextBatch == nil)
    }

    @Test(arguments: [[1, 2, 3, 4], [4, 3, 2, 1], [2, 4, 1, 3], [3, 1, 4, 2]])
    func `every order of finishing hands over each page once, in order`(order: [Int]) {
        var ledger = ledger(1...4)
        var handed: [Int] = []
        for page in order {
            ledger.add(WorkerFixture.blank(page))
            guard let batch = pages(ledger.nextBatch) else { continue }
            handed += batch
            let last = handed.count
            ledger.apply(.accepted(remaining: last < 4 ? last + 1...4 : nil))
        }
        #expect(handed == [1, 2, 3, 4])
    }

    @Test func `what finishes while a batch is on its way goes with the next one`() {
        var ledger = ledger(1...3)
        ledger.add(WorkerFixture.blank(1))
        #expect(pages(ledger.nextBatch) == [1])
        ledger.add(WorkerFixture.blank(2))
        ledger.apply(.accepted(remaining: 2...3))
        #expect(pages(ledger.nextBatch) == [2])
    }

    @Test func `pages that another batch has recorded need no work and leave no gap`() {
        var ledger = ledger(1...5, recordedElsewhere: [1, 3, 5])
        #expect(ledger.span == 2...4)
        ledger.add(WorkerFixture.blank(3))
        #expect(ledger.nextBatch?.recordedElsewhere == [1])
        ledger.add(WorkerFixture.blank(4))
        ledger.add(WorkerFixture.blank(2))
        #expect(pages(ledger.nextBatch) == [2, 4])
        #expect(ledger.nextBatch?.recordedElsewhere == [1, 3, 5])
        #expect(ledger.span == nil)
    }

    @Test func `few pages at a time go in order, and one can be replaced`() {
        var ledger = ledger(1...4, recordedElsewhere: [2])
        for page in 1...4 { ledger.add(WorkerFixture.blank(page)) }
        #expect(pages(ledger.nextBatch(of: 1)) == [1])
        #expect(pages(ledger.nextBatch(of: 3)) == [1, 3] && ledger.nextBatch(of: 3)?.recordedElsewhere == [2])
        ledger.replace(PageOutcome(page: 1, result: .failed(reason: "refused", isPermanent: false)))
        if case .failed = ledger.nextBatch(of: 1)?.outcomes.first?.result {} else { Issue.record("it is as before") }
        ledger.dropFinished()
        #expect(ledger.nextBatch == nil && ledger.needs(1) && ledger.remaining == 1...4)
    }

    @Test func `a lost lease takes no further pages`() {
        var ledger = ledger(1...3)
        ledger.add(WorkerFixture.blank(1))
        ledger.apply(.leaseLost)
        ledger.add(WorkerFixture.blank(2))
        #expect(ledger.remaining == nil && ledger.nextBatch == nil && !ledger.needs(3) && ledger.span == nil)
    }

    @Test func `a problem settles only the pages that are not finished`() {
        var ledger = ledger(1...3)
        ledger.add(WorkerFixture.blank(2))
        ledger.failRest(reason: "The file has changed.", isPermanent: true)
        let failed = ledger.nextBatch?.outcomes.filter {
            if case .failed = $0.result { true } else { false }
        }
        #expect(pages(ledger.nextBatch) == [1, 2, 3])
        #expect(failed?.map(\.page) == [1, 3])
    }
}
