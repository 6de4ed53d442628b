private import Glibc
internal import Rendering

extension Doctor {
    /// What texts are drawn whose fonts a document does not hold; pages of other texts would be drawn without them.
    ///
    /// Nobody needs all of them: what is missing is no fault of the machine.
    static func fonts(_ renderer: PageRenderer) async -> Finding {
        let subject = "fonts"
        let undrawn: [TestedScript]
        do throws(RenderError) {
            undrawn = try await renderer.undrawnScripts()
        } catch {
            return Finding(subject, isRight: false, error.description)
        }
        guard !undrawn.isEmpty else {
            return Finding(
                subject, isRight: true, "Chinese, Japanese, Korean and Arabic are drawn where documents hold no fonts")
        }
        var lines = [
            "documents that do not hold their fonts are drawn without \(list(undrawn.map(\.name))).",
            "If there are such documents, install on each machine that has workers:",
        ]
        lines += undrawn.map { "\($0.name): apt install \($0.package)" }
        if undrawn.count(where: { $0 != .arabic }) > 1 {
            lines.append("or for all of Chinese, Japanese and Korean: apt install fonts-noto-cjk")
        }
        // poppler's tables of characters, which these scripts need whatever fonts there are.
        if undrawn != [.arabic], access("/usr/share/poppler/cMap", F_OK) != 0 {
            lines.append("and for Chinese, Japanese and Korean: apt install poppler-data")
        }
        return Finding(subject, isRight: true, isNote: true, lines.joined(separator: "\n"))
    }

    private static func list(_ names: [String]) -> String {
        names.count < 2 ? names.joined() : names.dropLast().joined(separator: ", ") + " and " + (names.last ?? "")
    }
}

extension TestedScript {
    fileprivate var name: String {
        switch self {
        case .simplifiedChinese: "simplified Chinese"
        case .traditionalChinese: "traditional Chinese"
        case .japanese: "Japanese"
        case .korean: "Korean"
        case .arabic: "Arabic"
        }
    }

    /// Debian's package with a font that poppler then takes.
    fileprivate var package: String {
        switch self {
        case .simplifiedChinese: "fonts-wqy-microhei"
        case .traditionalChinese: "fonts-arphic-uming"
        case .japanese: "fonts-ipafont-gothic"
        case .korean: "fonts-nanum"
        case .arabic: "fonts-dejavu-core"
        }
    }
}
