import ArgumentParser
import Glibc
import Inference
import Parity
import SystemPackage

/// Implements `quire-bench cpu`.
struct CPUCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cpu",
        abstract: "Measures whole pages on this machine's processors, several at a time.",
        discussion: """
            First the machine: how fast it multiplies (OpenBLAS's sgemm) and reads memory. Then, for each precision and \
            batch, how many pages an hour it reads when so many are decoded together: a page is encoded, its prompt is \
            run, and steps are timed at five depths of its text; the pages an hour follow from these. The best that the \
            machine could do, every part computing or reading at full speed, stands beside them.

            With --random-3b no download is needed: random weights of the released model's shape are made in memory.
            """)

    @Option(help: "A model directory in Hugging Face's layout.")
    var model: String?

    @Flag(name: .customLong("random-3b"), help: "Random weights of the released model's shape, made in memory.")
    var random3b = false

    @Flag(help: "With random weights: routers that send most rows to a few experts.")
    var skew = false

    @Option(help: "The resolution mode.")
    var mode: ResolutionMode = .base

    @Option(parsing: .upToNextOption, help: "Precisions to measure, in this order.")
    var precisions: [Precision] = [.float32, .bfloat16, .int8]

    @Option(parsing: .upToNextOption, help: "How many pages are decoded together.")
    var batches: [Int] = [1, 4, 8, 16, 32]

    @Option(help: "How many threads compute.")
    var threads: Int = SpeedCommand.processors

    @Option(help: "How many tokens a page's text has.")
    var pageTokens: Int = 1000

    @Option(help: "Write each figure to this file as a line of JSON.")
    var json: String?

    @Flag(help: "Append to that file.")
    var append = false

    @Option(help: "Write a plot of the cost of a page to this file (SVG).")
    var plot: String?

    func validate() throws {
        guard (model != nil) != random3b else { throw ValidationError("Give either --model DIR or --random-3b.") }
        guard threads > 0, pageTokens > 0, !batches.isEmpty, batches.allSatisfy({ (1...256).contains($0) }) else {
            throw ValidationError("--threads, --page-tokens and --batches must be at least 1, a batch at most 256.")
        }
    }

    func run() async throws {
        var log = try FigureLog(path: json, isAppending: append)
        let yardsticks = Yardsticks(threads: threads)
        try log.add("sgemm, \(threads) threads", yardsticks.operations / 1e9, "GFLOP/s")
        try log.add("memory read, \(threads) threads", yardsticks.bandwidth / 1e9, "GB/s")
        print(
            "sgemm \(SpeedReport.fixed(yardsticks.operations / 1e9, 1)) GFLOP/s, memory "
                + "\(SpeedReport.fixed(yardsticks.bandwidth / 1e9, 1)) GB/s, \(threads) threads, "
                + "kernels \(Kernels.best.name)")
        var lines: [Plot.Line] = []
        let source = try WeightSource(model: model, isSkewed: skew, threads: threads)
        for precision in precisions {
            lines.append(try measure(precision, source, yardsticks, &log))
        }
        print("\n" + log.goals)
        if let plot {
            let picture = Plot(
                title: "Seconds of a page, by pages decoded together", xTitle: "pages decoded together",
                yTitle: "seconds", lines: lines)
            try FigureLog.write(picture.svg, to: plot, mode: "w")
        }
    }

    /// Measures one precision; returns its line in the plot.
    private func measure(
        _ precision: Precision, _ source: WeightSource, _ yardsticks: Yardsticks, _ log: inout FigureLog
    ) throws -> Plot.Line {
        let clock = ContinuousClock()
        let started = clock.now
        let model = try source.load(precision, threads: threads)
        let loadSeconds = (clock.now - started) / .seconds(1)
        let most = batches.max() ?? 1
        let measurement = try BatchMeasurement(model, mode: mode, pageTokens: pageTokens, batch: most)
        let costs = ModelCosts(model.configuration)
        let page = measurement.page
        let weightBytes = precision == .int8 ? 1.0 : source.bytesOfElement
        let roofline = Roofline(
            costs: costs, yardsticks: yardsticks, weightBytes: weightBytes,
            cacheBytes: precision == .float32 ? 4 : 2)
        let name =
            "\(mode.rawValue) \(precision.rawValue)" + (skew ? ", skewed router" : "")
            + (threads == SpeedCommand.processors ? "" : ", \(threads) threads")

        let encode = costs.encoding(page.prepared) / page.encodeSeconds
        let prefill = costs.prefill(tokens: page.promptTokens) / page.prefillSeconds
        try log.add("\(name): load", loadSeconds, "s")
        try log.add("\(name): encode", encode / 1e9, "GFLOP/s")
        try log.add("\(name): encode, share of sgemm", encode / yardsticks.operations, "", goal: .atLeast(0.7))
        try log.add("\(name): prefill", prefill / 1e9, "GFLOP/s")
        print(
            "\n\(name): loaded in \(SpeedReport.fixed(loadSeconds, 1)) s; encode "
                + "\(SpeedReport.fixed(page.encodeSeconds, 2)) s (\(SpeedReport.fixed(encode / 1e9, 0)) GFLOP/s), prefill "
                + "\(SpeedReport.fixed(page.prefillSeconds, 2)) s (\(SpeedReport.fixed(prefill / 1e9, 0)) GFLOP/s)")

        var rows: [[String]] = []
        var points: [(x: Double, y: Double)] = []
        for batch in batches {
            let seconds = try measurement.pageSeconds(batch: batch)
            let best = roofline.pageSeconds(page, batch: batch, pageTokens: pageTokens)
            let tokens = Double(pageTokens) / (seconds - page.encodeSeconds - page.prefillSeconds)
            let isGoal = precision == .int8 && batch == 16
            try log.add("\(name), batch \(batch): pages", 3600 / seconds, "pages/h")
            try log.add("\(name), batch \(batch): decoding", tokens, "tokens/s")
            try log.add(
                "\(name), batch \(batch): share of the roofline (\(SpeedReport.fixed(3600 / best, 0)) pages/h)",
                best / seconds, "", goal: isGoal ? .atLeast(0.6) : nil)
            if batch == 1 {
                let reading = MemoryReading(threads: threads)
                let share = try measurement.bandwidthShare(
                    bytes: { roofline.bytes(context: $0, batch: 1) }, bandwidth: { reading.bandwidth() })
                try log.add(
                    "\(name), batch 1: decoding, share of the read bandwidth", share, "",
                    goal: .atLeast(0.8))
            }
            points.append((Double(batch), seconds))
            rows.append([
                "\(batch)", SpeedReport.fixed(tokens, 1), SpeedReport.fixed(seconds, 2),
                SpeedReport.fixed(3600 / seconds, 1), SpeedReport.fixed(3600 / best, 1),
                SpeedReport.fixed(100 * best / seconds, 0),
            ])
        }
        print(
            TextTable(
                heading: ["batch", "tokens/s", "s/page", "pages/h", "roofline", "% of it"], rows: rows
            ).text)
        return Plot.Line(name: precision.rawValue, points: points)
    }
}

/// Where the weights to measure with come from.
struct WeightSource {
    let configuration: ModelConfiguration
    private let checkpoint: Checkpoint

    /// A model directory, or random weights of the released model's shape.
    init(model: String?, isSkewed: Bool = false, threads: Int) throws {
        if let model {
            let directory = FilePath(model)
            configuration = try ModelConfiguration(contentsOf: directory.appending("config.json"))
            checkpoint = try Checkpoint(directory: directory, configuration: configuration)
        } else {
            configuration = ModelConfiguration()
            checkpoint = try Checkpoint(
                randomFor: configuration, router: isSkewed ? .skewed : .balanced, threads: threads)
        }
    }

    /// Bytes of an element of most weights.
    var bytesOfElement: Double { Double(checkpoint.byteCount) / Double(checkpoint.parameterCount) }

    func load(_ precision: Precision, threads: Int) throws -> DeepSeekOCR<CPUBackend> {
        let backend = CPUBackend(
            threads: threads, precision: precision, store: PanelStore(for: checkpoint, precision: precision))
        return try DeepSeekOCR(checkpoint: checkpoint, configuration: configuration, backend: backend)
    }
}
