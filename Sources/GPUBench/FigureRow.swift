import Glibc

/// One figure: what was computed, for how many pages together, and in what time.
package struct FigureRow {
    package enum Subject: String {
        case copy, product, encode, prefill, decode, page
    }

    let subject: Subject
    var mode = ""
    /// Pages, or sequences, together.
    var batch = 1
    let milliseconds: Double
    /// What has to be read and written at least.
    var bytes = 0.0
    var operations = 0.0
    /// How many pages' worth of this part was done.
    var pages = 0.0

    package init(
        _ subject: Subject, mode: String = "", batch: Int = 1, milliseconds: Double, bytes: Double = 0,
        operations: Double = 0, pages: Double = 0
    ) {
        self.subject = subject
        self.mode = mode
        self.batch = batch
        self.milliseconds = milliseconds
        self.bytes = bytes
        self.operations = operations
        self.pages = pages
    }

    package var json: String {
        "{\"implementation\": \"quire\", \"what\": \"\(subject.rawValue)\", \"mode\": \"\(mode)\", \"batch\": \(batch), "
            + "\"milliseconds\": \(milliseconds), \"bytes\": \(bytes), \"flops\": \(operations), \"pages\": \(pages)}"
    }

    package var text: String {
        var text = "\(subject.rawValue) \(mode) \(batch): \(rounded(milliseconds)) ms"
        if bytes > 0 { text += ", \(rounded(bytes / milliseconds / 1e9)) TB/s" }
        if operations > 0 { text += ", \(rounded(operations / milliseconds / 1e9)) TFLOP/s" }
        if pages > 0 {
            let perSecond = pages / milliseconds * 1000
            text += ", \(rounded(perSecond)) pages/s, \(Int(perSecond * 86400)) pages/day"
        }
        return text
    }

    private func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }

    func append(to path: String) throws {
        guard let file = fopen(path, "a") else { throw GPUBenchError("\(path) cannot be written.") }
        defer { fclose(file) }
        guard fputs(json + "\n", file) >= 0 else { throw GPUBenchError("\(path) cannot be written.") }
    }
}

/// Why something cannot be measured, in a sentence.
struct GPUBenchError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// The middle one of some runs' milliseconds.
func medianMilliseconds(runs: Int, _ body: () throws -> Void) rethrows -> Double {
    var times: [Double] = []
    for _ in 0..<runs {
        let started = ContinuousClock.now
        try body()
        times.append((ContinuousClock.now - started) / .milliseconds(1))
    }
    return times.sorted()[runs / 2]
}
