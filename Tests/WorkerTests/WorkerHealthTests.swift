import Claiming
import Testing

@Suite struct WorkerHealthTests {
    private let start = ContinuousClock.now

    private func at(_ seconds: Double) -> ContinuousClock.Instant { start + .seconds(seconds) }

    @Test func `a machine that fails claims nothing until a test says that it is well, and says each change once`() {
        var health = WorkerHealth()
        #expect(health.mayClaim && health.unwell == nil)
        #expect(health.machineFailed("No renderer.", now: at(0)) == "Unwell: No renderer.")
        #expect(health.machineFailed("No pipe.", now: at(0.1)) == nil, "all pages in hand meet it at once")
        #expect(!health.mayClaim && health.unwell == "No renderer.")
        #expect(!health.isMachineDue(at(0.9)) && health.isMachineDue(at(1)))
        #expect(health.tested("No renderer.", now: at(1)) == nil)
        #expect(!health.mayClaim)
        #expect(health.tested("No fonts.", now: at(3)) == "Unwell: No fonts.")
        #expect(health.tested(nil, now: at(8)) == "Well again: pages are claimed as before.")
        #expect(health.mayClaim && health.unwell == nil && !health.isMachineDue(at(1000)))
    }

    @Test func `the pauses between tests grow from one second to thirty`() {
        var health = WorkerHealth()
        _ = health.machineFailed("No renderer.", now: start)
        var (now, pauses) = (0.0, [Double]())
        for _ in 0..<8 {
            let pause = stride(from: 0.5, through: 60, by: 0.5).first { health.isMachineDue(at(now + $0)) } ?? 0
            pauses.append(pause)
            now += pause
            _ = health.tested("No renderer.", now: at(now))
        }
        #expect(pauses == [1, 2, 4, 8, 16, 30, 30, 30])
    }

    @Test func `a fault that comes back before a page was read goes on with the pause that it had`() {
        var health = WorkerHealth()
        _ = health.machineFailed("No descriptors.", now: at(0))
        for round in 1...3 {
            _ = health.tested(nil, now: at(100))
            #expect(health.mayClaim)
            _ = health.machineFailed("No descriptors.", now: at(100))
            let pause = Double(1 << round)
            #expect(!health.isMachineDue(at(100 + pause - 0.1)) && health.isMachineDue(at(100 + pause)))
        }
        _ = health.tested(nil, now: at(200))
        health.succeeded(batch: 1)
        _ = health.machineFailed("No descriptors.", now: at(200))
        #expect(health.isMachineDue(at(201)), "a page was read meanwhile")
    }

    @Test func `a batch that cannot be seen is left to others, and the rest goes on`() {
        var health = WorkerHealth()
        #expect(health.cannotSee(batch: 7, "No folder of batch b.", now: at(0)) == "Unwell: No folder of batch b.")
        #expect(health.mayClaim && health.hiddenBatches == [7])
        #expect(health.cannotSee(batch: 7, "No folder of batch b.", now: at(0)) == nil)
        #expect(
            health.cannotSee(batch: 3, "No folder of batch a.", now: at(0))
                == "Unwell: No folder of batch a. No folder of batch b.")
        #expect(health.batchesDue(at(0.5)).isEmpty && health.batchesDue(at(1)) == [3, 7])
        #expect(health.tested(batch: 7, isSeen: false, now: at(1)) == nil)
        #expect(health.batchesDue(at(2)) == [3])
        #expect(health.tested(batch: 3, isSeen: true, now: at(2)) == "Unwell: No folder of batch b.")
        health.succeeded(batch: 7)
        #expect(health.hiddenBatches == [7], "a page in hand was read before")
        #expect(health.tested(batch: 7, isSeen: true, now: at(3)) == "Well again: pages are claimed as before.")
        #expect(health.hiddenBatches.isEmpty)
    }
}
