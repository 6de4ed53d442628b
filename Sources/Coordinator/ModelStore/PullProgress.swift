private import Synchronization

/// Tells a person how far a download is: one line that changes on a terminal, plain lines elsewhere.
package final class PullProgress: Sendable {
    /// Where lines go.
    package struct Output: Sendable {
        /// Whether a line may be written over.
        package var isTerminal: Bool
        /// Writes text as it is, without a line end.
        package var write: @Sendable (String) -> Void

        package init(isTerminal: Bool, write: @escaping @Sendable (String) -> Void) {
            self.isTerminal = isTerminal
            self.write = write
        }
    }

    private let output: Output
    private let state = Mutex(State())

    private struct State {
        var name = ""
        var size: Int64 = 0
        var speed = SpeedMeter()
        var shownAt: ContinuousClock.Instant?
        var hasOpenLine = false
    }

    package init(_ output: Output) { self.output = output }

    /// Writes one line that stays.
    func note(_ text: String) {
        state.withLock { state in
            output.write((state.hasOpenLine ? "\r\u{1B}[K" : "") + text + "\n")
            state.hasOpenLine = false
        }
    }

    /// Begins a file of which `start` bytes are there already.
    func begin(_ name: String, size: Int64, start: Int64) {
        let now = ContinuousClock().now
        state.withLock { state in
            state.name = name
            state.size = size
            state.speed = SpeedMeter()
            state.speed.add(start, at: now)
            state.shownAt = now
        }
    }

    /// `length` bytes of the file are there.
    func moved(to length: Int64) {
        let now = ContinuousClock().now
        state.withLock { state in
            state.speed.add(length, at: now)
            let pause: Duration = output.isTerminal ? .milliseconds(200) : .seconds(10)
            guard let shownAt = state.shownAt, now - shownAt >= pause else { return }
            state.shownAt = now
            let line = Self.line(state.name, length, of: state.size, bytesPerSecond: state.speed.bytesPerSecond)
            output.write(output.isTerminal ? "\r\u{1B}[K\(line)" : "\(line)\n")
            state.hasOpenLine = output.isTerminal
        }
    }

    /// Such as `model.safetensors: 1.20 GB of 6.67 GB (17 %), 85.0 MB/s, 1 min 4 s left`.
    package static func line(_ name: String, _ length: Int64, of size: Int64, bytesPerSecond: Double) -> String {
        let percent = size > 0 ? Int(Double(length) / Double(size) * 100) : 100
        var line = "\(name): \(ByteCount.text(length)) of \(ByteCount.text(size)) (\(percent) %)"
        if bytesPerSecond > 0 {
            let seconds = Double(size - length) / bytesPerSecond
            line += ", \(ByteCount.decimal(bytesPerSecond / 1e6, digits: 1)) MB/s, \(duration(seconds)) left"
        }
        return line
    }

    /// Such as `1 min 4 s` or `2 h 5 min`.
    package static func duration(_ seconds: Double) -> String {
        let seconds = Int(min(seconds.rounded(.up), 1e9))
        if seconds < 60 { return "\(seconds) s" }
        if seconds < 3600 { return "\(seconds / 60) min \(seconds % 60) s" }
        return "\(seconds / 3600) h \(seconds / 60 % 60) min"
    }
}

/// The speed over the last ten seconds.
private struct SpeedMeter {
    private var samples: [(instant: ContinuousClock.Instant, length: Int64)] = []

    mutating func add(_ length: Int64, at instant: ContinuousClock.Instant) {
        // A file that begins anew says nothing about speed.
        if let last = samples.last, last.length > length { samples = [] }
        // Samples half a second apart are enough; the last one always moves on.
        if samples.count > 1, instant - samples[samples.count - 2].instant < .milliseconds(500) { samples.removeLast() }
        samples.append((instant, length))
        if let first = samples.first, samples.count > 2, instant - first.instant > .seconds(10) {
            samples.removeFirst()
        }
    }

    var bytesPerSecond: Double {
        guard let first = samples.first, let last = samples.last else { return 0 }
        let seconds = (last.instant - first.instant) / .seconds(1)
        return seconds > 0 ? Double(last.length - first.length) / seconds : 0
    }
}
