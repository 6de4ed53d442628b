/// Text from elsewhere, made fit for a terminal.
package enum OneLine {
    /// The text on one line, without control characters: they could move the cursor or hide what follows.
    package static func text(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            if scalar.properties.isWhitespace {
                if result.last != " " { result += " " }
            } else if scalar.properties.generalCategory != .control, scalar.properties.generalCategory != .format {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
