import Rendering

/// What of a TIFF page could not be decoded.
struct TIFFDamage {
    /// Rows that are white in place of what they should show.
    var lost = LostRows()
    /// Rows of fax data that were read although something in them is wrong.
    var wrong = LostRows()
    var lostTiles = 0
    var tiles = 0
    /// Whether any row or tile was decoded.
    var hasPixels = false
    /// The decoder's first complaint.
    var reason: String?

    /// Nil where all is sound.
    func text(height: Int) -> String? {
        var parts: [String] = []
        if lostTiles > 0 { parts.append("\(lostTiles) of \(tiles) tiles are missing") }
        if !lost.isEmpty { parts.append("\(lost.text(of: height)) are missing") }
        if !wrong.isEmpty { parts.append("\(wrong.text(of: height)) are wrong") }
        if parts.isEmpty { return reason.map { "The page's image is damaged (\($0)): parts of it may be wrong." } }
        let cause = reason ?? "no reason given"
        return "The page's image is cut off or damaged (\(cause)): \(parts.joined(separator: ", ")); what is there may "
            + "be wrong too."
    }
}
