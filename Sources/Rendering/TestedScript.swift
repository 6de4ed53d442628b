/// A script whose characters `quire-render font-test` draws in fonts that the document does not hold.
package enum TestedScript: String, Sendable, CaseIterable {
    case simplifiedChinese = "zh-Hans"
    case traditionalChinese = "zh-Hant"
    case japanese = "ja"
    case korean = "ko"
    case arabic = "ar"

    /// Two characters, each with a shape of its own.
    package var characters: (Unicode.Scalar, Unicode.Scalar) {
        switch self {
        case .simplifiedChinese: ("\u{8FD9}", "\u{4EEC}")
        case .traditionalChinese: ("\u{9019}", "\u{5011}")
        case .japanese: ("\u{3042}", "\u{50CD}")
        case .korean: ("\u{D55C}", "\u{AE00}")
        case .arabic: ("\u{628}", "\u{633}")
        }
    }
}
