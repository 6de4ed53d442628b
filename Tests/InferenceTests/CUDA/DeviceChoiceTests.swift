import Inference
import Testing

/// What people ask to compute on.
@Suite struct DeviceChoiceTests {
    @Test func `devices are named cpu, cuda with a number, and all`() throws {
        #expect(try DeviceChoice("cpu") == .processor)
        #expect(try DeviceChoice("cuda:12") == .card(12))
        #expect(try DeviceChoice("all") == .allCards)
        for name in ["", "gpu", "cuda", "cuda:", "cuda:-1", "cuda:x", "CPU", "cuda:99999999999999999999"] {
            #expect(throws: DeviceRefusal.self) { try DeviceChoice(name) }
        }
    }

    @Test func `the cards that are meant are looked up`() throws {
        #expect(try DeviceChoice("cpu").cards(driver: .shim()).isEmpty)
        #expect(try DeviceChoice("cuda:0").cards(driver: .shim()).map(\.name) == ["shim"])
        #expect(try DeviceChoice("all").cards(driver: .shim()).map(\.ordinal) == [0])
    }

    @Test func `a card that is not there is refused by its name`() {
        let refusal = #expect(throws: DeviceRefusal.self) { try DeviceChoice("cuda:1").cards(driver: .shim()) }
        #expect(refusal?.reason == CUDADevice.Obstacle.noDevice.sentence)
        #expect(refusal?.description.hasPrefix("Device 'cuda:1' cannot be used: ") == true)
    }

    @Test func `a card computes in bf16 alone`() throws {
        for precision in Precision.allCases {
            try DeviceChoice.processor.check(precision)
            guard precision != .bfloat16 else {
                try DeviceChoice.allCards.check(precision)
                continue
            }
            #expect(throws: DeviceRefusal.self) { try DeviceChoice.card(0).check(precision) }
        }
    }
}
