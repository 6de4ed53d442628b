import Claiming
import Testing

@Suite struct WakeUpTests {
    @Test func `a wait ends by itself, or when it is rung for`() async {
        let wakeUp = WakeUp()
        #expect(await !wakeUp.wait(upTo: .milliseconds(1)))
        let waiting = Task { await wakeUp.wait(upTo: .seconds(3600)) }
        wakeUp.ring()
        #expect(await waiting.value)
        #expect(await !wakeUp.wait(upTo: .milliseconds(1)))
    }

    @Test func `a ring that nobody waits for ends the next wait, once`() async {
        let wakeUp = WakeUp()
        for _ in 0..<3 { wakeUp.ring() }
        #expect(await wakeUp.wait(upTo: .seconds(3600)))
        #expect(await !wakeUp.wait(upTo: .milliseconds(1)))
    }

    @Test func `a wait that is cancelled ends`() async {
        let wakeUp = WakeUp()
        let waiting = Task { await wakeUp.wait(upTo: .seconds(3600)) }
        waiting.cancel()
        #expect(await !waiting.value)
    }
}
