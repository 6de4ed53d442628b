import ArgumentParser
import Glibc
import Inference
import SystemPackage

/// Implements `quire-bench figures`.
struct FiguresCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "figures",
        abstract: "Shows the figures that measurements wrote to a file, goals at the end.",
        discussion: """
            Where the file holds pages an hour of this engine and of PyTorch, their ratio at the best batch of each is \
            added to the file first.
            """)

    @Argument(help: "Lines of JSON: what, figure, unit, goal, met.")
    var file: String

    func run() async throws {
        let bytes = try MappedFile(FilePath(file)).bytes()
        var lines: [[String]] = []
        var figures: [(what: String, value: Double)] = []
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            let value = try JSONValue(parsing: line)
            guard let what = value["what"]?.text, case .number(let figure)? = value["figure"] else { continue }
            figures.append((what, figure))
            lines.append([
                what, Self.text(figure) + " " + (value["unit"]?.text ?? ""),
                value["goal"].flatMap { if case .number(let goal) = $0 { Self.text(goal) } else { nil } } ?? "",
                value["met"].map { $0 == .bool(true) ? "met" : $0 == .bool(false) ? "NOT MET" : "" } ?? "",
            ])
        }
        var log = try FigureLog(path: file, isAppending: true)
        for precision in ["f32", "bf16"] {
            guard let torch = Self.best(figures, "PyTorch \(precision)"),
                let own = Self.best(figures, "base \(precision)")
            else { continue }
            try log.add(
                "base \(precision): pages an hour, times those of PyTorch \(precision)", own / torch, "x",
                goal: .atLeast(3))
        }
        if let torch = [Self.best(figures, "PyTorch f32"), Self.best(figures, "PyTorch bf16")].compactMap({ $0 }).max(),
            let own = Self.best(figures, "base int8")
        {
            try log.add("base int8: pages an hour, times the best of PyTorch", own / torch, "x")
        }
        for figure in log.figures {
            lines.append([
                figure.what, Self.text(figure.value) + " " + figure.unit, figure.goal.map { Self.text($0.value) } ?? "",
                figure.goal.map { $0.isMet(by: figure.value) ? "met" : "NOT MET" } ?? "",
            ])
        }
        print(TextTable(heading: ["what", "figure", "goal", ""], rows: lines).text)
    }

    /// The most pages an hour of what a name begins with.
    private static func best(_ figures: [(what: String, value: Double)], _ name: String) -> Double? {
        figures.filter { $0.what.hasPrefix(name + ",") && $0.what.hasSuffix(": pages") }.map(\.value).max()
    }

    private static func text(_ value: Double) -> String { SpeedReport.fixed(value, abs(value) < 10 ? 2 : 1) }
}
