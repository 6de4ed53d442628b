import ArgumentParser
import Glibc
package import Inference
import Parity
package import SystemPackage
import TextDistance

/// Implements `quire-gpu-bench parity`.
struct ParityCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "parity", abstract: "Compares every kernel and whole pages with the processor.",
        discussion: """
            Kernels are held against plain sums; models against the same model on the processor in f32: every stage, and \
            the token that would follow at each place of the processor's own text. The same page is then read alone and \
            with 255 copies of itself.
            """)

    @OptionGroup var options: GPUOptions
    @OptionGroup var products: ProductOptions

    @Option(parsing: .upToNextOption, help: "Model directories to compare.")
    var model: [String] = []

    @Option(help: "How many copies of a page are read together.")
    var together = 256

    @Option(help: "How many tokens are generated.")
    var tokens = 200

    func run() async throws {
        let device = try options.open()
        var failed = 0
        for kernel in KernelCase.all {
            do throws(InferenceError) {
                let error = try kernel.run(device)
                guard error > kernel.limit else { continue }
                print("FAILED kernel \(kernel): \(error), at most \(kernel.limit)")
            } catch {
                print("FAILED kernel \(kernel): \(error)")
            }
            failed += 1
        }
        print("kernels: \(KernelCase.all.count) cases, \(failed) failed")
        for directory in model {
            let comparison = try ModelComparison(
                directory: FilePath(directory), backend: products.backend(on: device), tokens: tokens)
            for line in try comparison.lines(together: together) {
                print("\(line.isRight ? "passed" : "FAILED") \(directory): \(line.text)")
                if !line.isRight { failed += 1 }
            }
        }
        if failed > 0 { throw ExitCode(1) }
    }
}

/// A model on a GPU beside the same one on the processor.
package struct ModelComparison {
    package struct Line {
        package let isRight: Bool
        package let text: String
    }

    private let configuration: ModelConfiguration
    private let exact: DeepSeekOCR<CPUBackend>
    private let model: DeepSeekOCR<CUDABackend>
    private let tokens: Int
    private let page: PreparedImage
    private let prompt: [Int32]

    package init(
        directory: FilePath, backend: CUDABackend, tokens: Int, mode: ResolutionMode = .tiny
    ) throws(InferenceError) {
        configuration = try ModelConfiguration(contentsOf: directory.appending("config.json"))
        let checkpoint = try Checkpoint(directory: directory, configuration: configuration)
        let threads = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        exact = try DeepSeekOCR(
            checkpoint: checkpoint, configuration: configuration, backend: CPUBackend(threads: threads))
        model = try DeepSeekOCR(
            checkpoint: checkpoint, configuration: configuration, backend: backend)
        self.tokens = tokens
        page = Preprocessor.prepare(SamplePage.image(), geometry: mode.geometry)
        prompt = SamplePage.prompt(for: page, configuration)
    }

    /// Stages, choices, and what a page gets alone and beside others.
    package func lines(together: Int) throws(InferenceError) -> [Line] {
        let text = try exact.generate(
            prompt: prompt, images: [try exact.encodeImage(page)], options: GenerationOptions(maxNewTokens: tokens)
        ).tokens
        let (wanted, found) = (try trace(exact, text), try trace(model, text))
        var lines: [Line] = []
        var (worst, stage) = (0.0, "")
        for name in wanted.names where name != "router.index" {
            guard let a = found.activations[name], let b = wanted.activations[name] else { continue }
            let error = RelativeError.ofRoots(a.values, b.values)
            if !(error <= worst) { (worst, stage) = (error, name) }
        }
        lines.append(Line(isRight: worst < 0.02, text: "largest error of a stage \(worst) (\(stage)), at most 0.02"))
        if let a = found.activations["logits"], let b = wanted.activations["logits"] {
            let width = configuration.decoder.vocabularySize
            let places = prompt.count - 1..<prompt.count + text.count - 1
            let same = places.count { Self.best(a.values, $0, width) == Self.best(b.values, $0, width) }
            let share = Double(same) / Double(places.count)
            lines.append(
                Line(isRight: share >= 0.995, text: "\(same) of \(places.count) tokens agree, at least 99.5 %"))
        }
        let alone = try generate(1)[0]
        let worstDistance = try generate(together).map { EditDistance.between($0, alone) }.max() ?? 0
        lines.append(
            Line(
                isRight: worstDistance * 200 <= alone.count,
                text: "\(together) copies together: \(worstDistance) edits in \(alone.count) tokens, at most 0.5 %"))
        return lines
    }

    private func generate(_ count: Int) throws(InferenceError) -> [[Int32]] {
        var batch = SequenceBatch(model, pool: model.makePool(tokens: count * (prompt.count + tokens + 32)))
        let embeddings = try model.encodeImage(page)
        var sequences: [TextSequence<CUDABackend>] = []
        for _ in 0..<count {
            let sequence = try TextSequence<CUDABackend>(
                prompt: prompt, images: [embeddings], options: GenerationOptions(maxNewTokens: tokens),
                configuration: configuration.decoder, cache: batch.makeCache())
            sequences.append(sequence)
            batch.join(sequence)
        }
        while batch.count > 0 { _ = try batch.step() }
        return sequences.map(\.generation.tokens)
    }

    /// All activations over the prompt and a text.
    private func trace<B: Backend>(_ model: DeepSeekOCR<B>, _ text: [Int32]) throws(InferenceError) -> ActivationTrace {
        let trace = ActivationTrace()
        let embeddings = try model.encodeImage(page, trace: trace)
        let rows = model.backend.gatherRows(
            (0..<Int32(prompt.count + text.count)).map { $0 },
            from: [try model.embed(prompt, images: [embeddings]), try model.embed(text)])
        let cache = model.backend.makeCache(in: model.makePool(tokens: rows.rows))
        _ = model.backend.reserve(rows.rows, in: cache)
        let hidden = try model.advance(rows, rows: [rows.rows], caches: [cache], trace: trace, allRows: true)
        _ = model.scores(hidden, trace: trace, allRows: true)
        try model.backend.check()
        return trace
    }

    private static func best(_ scores: [Float], _ row: Int, _ width: Int) -> Int {
        (1..<width).reduce(0) { scores[row * width + $1] > scores[row * width + $0] ? $1 : $0 }
    }
}
