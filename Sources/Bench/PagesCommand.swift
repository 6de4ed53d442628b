import ArgumentParser
import Glibc
import Inference
import Parity
import SystemPackage

/// Implements `quire-bench pages`.
struct PagesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pages",
        abstract: "Reads so many pages through the whole engine, from pixels to text.",
        discussion: """
            All pages are asked for at once, as a worker does, and join and leave the batch as they come and end. Each \
            is the same made-up scan; its text goes on until --tokens.
            """)

    @Option(help: "A model directory in Hugging Face's layout.")
    var model: String

    @Option(parsing: .upToNextOption, help: "How many pages; each number is a run of its own.")
    var pages: [Int] = [1, 4, 16, 64]

    @Option(help: "How many tokens a page's text has.")
    var tokens: Int = 100

    @Option(help: "The resolution mode; by default the model's own.")
    var mode: ResolutionMode?

    @Option(help: "How many threads compute.")
    var threads: Int = SpeedCommand.processors

    @Option(help: "What weights, keys and values are rounded to.")
    var precision: Precision = .bfloat16

    @Option(help: "Bytes that the engine may use; by default four fifths of what is free.")
    var memory: Int?

    @Option(help: "Append each figure to this file as a line of JSON.")
    var json: String?

    func run() async throws {
        var log = try FigureLog(path: json, isAppending: true)
        let clock = ContinuousClock()
        let started = clock.now
        let engine = try OCREngine(
            directory: FilePath(model),
            options: EngineOptions(threads: threads, precision: precision, memory: memory))
        let name = "\(precision.rawValue), \(threads) threads"
        try log.add("engine, \(name): load", (clock.now - started) / .seconds(1), "s")
        let mode = mode ?? engine.defaults.mode
        print("At most \(engine.plan.pages) pages together, mode \(mode.rawValue), \(name).")
        let image = SamplePage.image()
        for count in pages {
            let begun = clock.now
            let tokens = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<count {
                    group.addTask {
                        let request = RecognitionRequest(
                            mode: mode, prompt: engine.defaults.prompt, maxNewTokens: self.tokens)
                        return try await engine.recognise(image, request: request).tokens.count
                    }
                }
                return try await group.reduce(0, +)
            }
            let seconds = (clock.now - begun) / .seconds(1)
            print(
                "\(count) pages: \(SpeedReport.fixed(seconds / Double(count), 3)) s a page, "
                    + "\(SpeedReport.fixed(Double(tokens) / Double(count), 1)) tokens each")
            try log.add("engine, \(name), \(count) pages: a page", seconds / Double(count), "s")
        }
        let peak = ProcessMemory.peak
        print("Peak memory \(SpeedReport.fixed(Double(peak) / 1e9, 2)) GB.")
        try log.add("engine, \(name): peak memory", Double(peak) / 1e9, "GB", goal: goal(engine))
    }

    /// What the released size must not exceed.
    private func goal(_ engine: OCREngine) -> Figure.Goal? {
        guard engine.configuration.decoder == ModelConfiguration().decoder, mode == .base, pages == [1] else {
            return nil
        }
        switch precision {
        case .int8: return .atMost(6)
        case .bfloat16: return .atMost(9)
        case .float32: return nil
        }
    }
}

/// What this process has used.
enum ProcessMemory {
    /// The most bytes that were resident at once, mapped files included.
    static var peak: Int {
        var usage = rusage()
        getrusage(RUSAGE_SELF.rawValue, &usage)
        return usage.ru_maxrss * 1024
    }
}
