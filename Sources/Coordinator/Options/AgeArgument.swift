internal import ArgumentParser

/// A span of time on the command line, such as `30d`.
package struct AgeArgument: ExpressibleByArgument, Sendable, Equatable {
    package let seconds: Double

    /// Takes a whole number and one of the letters s, m, h, d and w.
    package init?(argument: String) {
        let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800]
        guard let letter = argument.last, let unit = units[letter], let number = Int(argument.dropLast()),
            (0...1_000_000_000).contains(number), number * unit <= 3_000_000_000
        else { return nil }
        seconds = Double(number * unit)
    }

    package init(seconds: Double) { self.seconds = seconds }

    package var defaultValueDescription: String {
        seconds == Self.month.seconds ? "30d" : "\(Int(seconds))s"
    }

    /// Thirty days.
    package static let month = AgeArgument(seconds: 30 * 86_400)
}
