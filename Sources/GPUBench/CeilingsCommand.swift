import ArgumentParser
import Inference

/// Implements `quire-gpu-bench ceilings`.
struct CeilingsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ceilings",
        abstract: "Measures copying within the GPU, and a large product of the own kernels.",
        discussion: """
            The GPU's own ceiling for products is what the vendor's library reaches: tools/gpu-check asks PyTorch.
            """)

    @OptionGroup var options: GPUOptions

    @Option(help: "Rows, inputs and outputs of the product, a multiple of 128.")
    var side = 8192

    func run() async throws {
        let device = try options.open()
        let bytes = 2 * side * side
        let memory = try (0..<3).map { _ in try DeviceMemory(device, bytes: bytes) }
        for block in memory { try device.fill(block.address, with: 0x3c, bytes: bytes, on: .decode) }
        try device.wait(for: .decode)
        let copies = 50
        let copy = try medianMilliseconds(runs: 5) {
            for _ in 0..<copies {
                try device.copy(from: memory[0].address, to: memory[1].address, bytes: bytes, on: .decode)
            }
            try device.wait(for: .decode)
        }
        try options.report(
            FigureRow(.copy, milliseconds: copy / Double(copies), bytes: Double(2 * bytes)))
        let product = KernelLaunch(
            "product_128", grid: (side / 128, side / 128, 1), threads: 256, shared: 3 * 256 * 64 * 2,
            [
                .address(memory[0].address), .address(memory[1].address), .address(0), .address(memory[2].address),
                .int(side), .int(side), .int(side), .int(side), .int(0),
            ])
        let time = try medianMilliseconds(runs: 6) {
            for _ in 0..<5 { try device.launch(product, on: .decode) }
            try device.wait(for: .decode)
        }
        let operations = 2 * Double(side) * Double(side) * Double(side)
        try options.report(FigureRow(.product, milliseconds: time / 5, operations: operations))
    }
}
