import Bench
import GPUBench
import Inference
import Parity
import SystemPackage
import Testing

/// The program that checks and measures GPUs, on the shim.
@Suite struct GPUBenchTests {
    @Test func `a model on the GPU is compared with the processor's`() throws {
        let comparison = try ModelComparison(
            directory: Fixtures.golden.path.appending("tiny-bf16"), backend: CUDABackend(Shim().device), tokens: 6)
        let lines = try comparison.lines(together: 3)
        #expect(lines.count == 3)
        // So few tokens of an untrained model say nothing of how many agree.
        #expect(lines[0].isRight && lines[2].isRight, "\(lines.map(\.text))")
    }

    @Test func `the trained miniature passes too`() throws {
        let comparison = try ModelComparison(
            directory: Fixtures.nano, backend: CUDABackend(Shim().device), tokens: 12)
        for line in try comparison.lines(together: 2) { #expect(line.isRight, "\(line.text)") }
    }

    @Test func `parts of a page are measured for a batch`() throws {
        var configuration = ModelConfiguration.tiny
        (configuration.sam.heads, configuration.clip.heads) = (4, 6)
        (configuration.decoder.heads, configuration.decoder.keyValueHeads) = (8, 8)
        let model = try DeepSeekOCR(
            checkpoint: Checkpoint(lazilyRandomFor: configuration), configuration: configuration,
            backend: CUDABackend(Shim().device))
        let rows = try PartTimes(model, mode: .tiny, batch: 3, pageTokens: 20, steps: 2).rows
        #expect(rows.map(\.json).filter { $0.contains("\"batch\": 3") && $0.contains("\"quire\"") }.count == 4)
        #expect(rows.allSatisfy { !$0.text.contains("nan") && !$0.text.contains("inf") })
    }
}
