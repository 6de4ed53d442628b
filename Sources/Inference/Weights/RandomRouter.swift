/// How the routers of a model with random weights spread rows over the experts.
package enum RandomRouter: String, Sendable, CaseIterable {
    /// All experts get about as many rows.
    case balanced
    /// A few experts get most rows, as in a text that is all of one kind.
    ///
    /// Row e of each `mlp.gate.weight` is a balanced one times 8 / (1 + e). Scores of a row x then spread that much wider,
    /// and whoever spreads widest is in the top 6 whenever its score is positive. Of 64 experts the first eight get half
    /// of all rows and the first sixteen three quarters; the rest share what is left, so that none is idle for long.
    case skewed

    /// What row `expert` of a router's matrix is multiplied with.
    package func scale(ofExpert expert: Int) -> Float {
        switch self {
        case .balanced: 1
        case .skewed: 8 / Float(1 + expert)
        }
    }
}
