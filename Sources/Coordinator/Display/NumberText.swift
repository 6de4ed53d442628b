/// Numbers for people.
package enum NumberText {
    /// The count with its noun, such as `1 page` and `2 pages`.
    package static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

    /// The count with the noun in its number, where the plural is not made with an s.
    package static func count(_ number: Int, _ one: String, _ many: String) -> String {
        "\(number) \(number == 1 ? one : many)"
    }

    /// With one digit after the point below 100, such as `7.5`, else whole.
    package static func rate(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "unknown" }
        guard abs(value) < 99.95 else { return "\(Int(value.rounded()))" }
        let tenths = Int((value * 10).rounded())
        return "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)"
    }

    /// A share as percent with two digits after the point, such as `0.53 %`.
    package static func percent(_ share: Double) -> String {
        guard share.isFinite, abs(share) < 1e12 else { return "unknown" }
        let hundredths = Int((share * 10_000).rounded())
        let fraction = hundredths % 100
        return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction) %"
    }
}
