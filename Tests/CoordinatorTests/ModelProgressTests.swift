import Coordinator
import Testing

@Suite struct ModelProgressTests {
    @Test func `Progress says how much, how fast and how long`() {
        let line = PullProgress.line("a.safetensors", 1_200_000_000, of: 6_670_000_000, bytesPerSecond: 85_000_000)
        #expect(line == "a.safetensors: 1.20 GB of 6.67 GB (17 %), 85.0 MB/s, 1 min 5 s left")
    }

    @Test func `Without a speed there is no time left`() {
        #expect(PullProgress.line("a", 0, of: 10, bytesPerSecond: 0) == "a: 0 B of 10 B (0 %)")
        #expect(PullProgress.line("a", 0, of: 0, bytesPerSecond: 0) == "a: 0 B of 0 B (100 %)")
    }

    @Test(arguments: [(0, "0 s"), (59.2, "1 min 0 s"), (59, "59 s"), (3600, "1 h 0 min"), (7500, "2 h 5 min")])
    func `Durations have two units`(seconds: Double, text: String) {
        #expect(PullProgress.duration(seconds) == text)
    }

    @Test(
        arguments: [
            (0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (999_600, "1.00 MB"), (17_094_848, "17.1 MB"),
            (6_672_212_480, "6.67 GB"), (123_000_000_000, "123 GB"),
        ] as [(Int64, String)])
    func `Sizes have three digits`(bytes: Int64, text: String) {
        #expect(ByteCount.text(bytes) == text)
    }

    @Test func `Numbers are grouped by threes`() {
        #expect(
            [0, 999, 1000, 3_336_106_240, -1234].map(Digits.grouped) == [
                "0", "999", "1 000", "3 336 106 240", "-1 234",
            ])
    }
}
