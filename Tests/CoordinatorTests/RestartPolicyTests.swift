import Coordinator
import Testing

@Suite struct `Restarting local workers` {
    @Test func `a worker that was told to leave stays away`() {
        var policy = RestartPolicy()
        #expect(policy.died(.exited(0), seconds: 100, hadPages: false, batchProgressed: true) == .leave)
    }

    @Test(arguments: [2, 5, 6] as [Int32])
    func `a worker that cannot work here is not started again`(code: Int32) {
        var policy = RestartPolicy()
        guard case .giveUp(let reason) = policy.died(.exited(code), seconds: 1, hadPages: false, batchProgressed: false)
        else {
            Issue.record("it would be started again")
            return
        }
        #expect(reason.contains("exit code \(code)"))
    }

    @Test func `three starts without a page are enough, whatever other workers do`() {
        var policy = RestartPolicy()
        var decisions: [RestartPolicy.Decision] = []
        for _ in 1...3 {
            decisions.append(policy.died(.signalled(11), seconds: 2, hadPages: false, batchProgressed: true))
        }
        #expect(decisions[0] == .restart(afterSeconds: 0.5))
        #expect(decisions[1] == .restart(afterSeconds: 1))
        #expect(decisions[2] == .giveUp(reason: "It died 3 times before it began a page."))
    }

    @Test func `a long life clears what was before`() {
        var policy = RestartPolicy()
        for _ in 1...20 {
            let decision = policy.died(.signalled(9), seconds: 3600, hadPages: false, batchProgressed: false)
            #expect(decision == .restart(afterSeconds: 0.5))
        }
    }

    @Test func `deaths over pages are borne as long as the batch gets on`() {
        var policy = RestartPolicy()
        for _ in 1...50 {
            let decision = policy.died(.signalled(9), seconds: 5, hadPages: true, batchProgressed: true)
            #expect(decision == .restart(afterSeconds: 0.5))
        }
    }

    @Test func `one page that kills workers is found before the worker is given up`() {
        // As LossPlan has it: the range of 16 whole twice, 8, 4, 2 pages, and twice the page alone.
        var policy = RestartPolicy()
        for death in 1...7 {
            let decision = policy.died(.signalled(11), seconds: 1, hadPages: true, batchProgressed: false)
            #expect(decision != .giveUp(reason: ""), "death \(death)")
            guard case .restart(let seconds) = decision else {
                Issue.record("given up at death \(death)")
                return
            }
            #expect(seconds <= 10)
        }
        guard case .giveUp = policy.died(.signalled(11), seconds: 1, hadPages: true, batchProgressed: false) else {
            Issue.record("a worker that dies on every page must be given up")
            return
        }
    }
}
