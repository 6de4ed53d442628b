import Foundation

/// What is asked of one file of the field: a line of `expected.tsv`.
struct FieldRule: Sendable, CustomStringConvertible {
    enum Kind: String, Sendable, CaseIterable {
        /// Every page is done.
        case done
        /// Every page is done, and nothing is noted of any page or of the document.
        case sound
        /// Every page is blank, and nothing is noted.
        case blank
        /// No page is blank or pending.
        case notBlank = "not-blank"
        /// No page is blank, and each that is done has a note; or the file is refused with a reason.
        case told
        /// That page is told, and the others are done without a note.
        case toldOnly = "told-only"
        /// Told, or done where a font for that language is installed.
        case toldUnlessFont = "told-unless-font"
        /// Every picture is so many pixels wide and high, within 3 %.
        case size
        /// Every picture is at least so large, within 1 %.
        case atLeast = "at-least"
        /// Every picture has that ratio of width to height, within 3 %.
        case aspect
        /// So many pages.
        case pages
        /// So many pages, or a note that says that there are others.
        case pagesOrNote = "pages-or-note"
        /// That page failed, and no other.
        case failedOnly = "failed-only"
        /// A regular expression that some reason or note matches, or that none does.
        case says
        case saysNot = "says-not"
        /// Names, separated by spaces, that the manifest holds.
        case mentions
        /// Passed over as a file of another kind.
        case ignored
        /// No picture has exactly that size.
        case notPreview = "not-preview"
    }

    /// Below the folder of field files.
    let path: String
    let kind: Kind
    let argument: String

    var description: String { "\(path): \(kind.rawValue) \(argument)" }

    /// Reads a line of a table; nil where it is none.
    init?(line: Substring) {
        let parts = line.split(separator: "\t" as Character, maxSplits: 2).map { String($0) }
        guard parts.count >= 2, let kind = Kind(rawValue: parts[1]) else { return nil }
        path = parts[0]
        self.kind = kind
        argument = parts.count > 2 ? parts[2] : ""
    }

    /// Whether a file as it was exported is as it should be.
    ///
    /// `fonts` lists the languages of the rules that have a font.
    func holds(for file: FieldExport.File, fonts: Set<String>) -> Bool {
        let pages = file.pages
        let sizes = pages.compactMap(\.image)
        let isRefused = file.status == "unreadable" || file.status == "ignored"
        let isTold = isRefused && !file.reasons.isEmpty || !pages.isEmpty && pages.allSatisfy(\.isTold)
        func all(_ state: String) -> Bool { !pages.isEmpty && pages.allSatisfy { $0.state == state } }
        func allSizes(_ condition: (_ width: Double, _ height: Double) -> Bool) -> Bool {
            !sizes.isEmpty && sizes.allSatisfy { condition(Double($0.width), Double($0.height)) }
        }
        let sides = argument.split(separator: "x").compactMap { Double($0) }
        let (width, height) = sides.count == 2 ? (sides[0], sides[1]) : (0, 0)
        switch kind {
        case .done: return all("done")
        case .sound: return all("done") && !file.isNoted
        case .blank: return all("blank") && !file.isNoted
        case .notBlank:
            return isRefused || !pages.isEmpty && pages.allSatisfy { !["blank", "pending"].contains($0.state) }
        case .told: return isTold
        case .toldOnly:
            let page = Int(argument)
            return pages.contains { $0.page == page }
                && pages.allSatisfy { $0.page == page ? $0.isTold : $0.state == "done" && $0.notes.isEmpty }
        case .toldUnlessFont: return isTold || fonts.contains(argument) && pages.contains { $0.state == "done" }
        case .size: return allSizes { abs($0 - width) <= width * 0.03 && abs($1 - height) <= height * 0.03 }
        case .atLeast: return allSizes { $0 >= width * 0.99 && $1 >= height * 0.99 }
        case .aspect: return allSizes { abs($0 / $1 / (width / height) - 1) <= 0.03 }
        case .pages: return pages.count == Int(argument)
        case .pagesOrNote: return pages.count == Int(argument) || file.isNoted
        case .failedOnly:
            return !pages.isEmpty && pages.allSatisfy { ($0.state == "failed") == ($0.page == Int(argument)) }
        case .says: return isMatched(file.reasons)
        case .saysNot: return !isMatched(file.reasons)
        case .mentions: return argument.split(separator: " ").allSatisfy { file.manifest.contains($0) }
        case .ignored: return file.status == "ignored"
        case .notPreview:
            return isRefused
                || !pages.isEmpty && sizes.allSatisfy { $0.width != Int(width) || $0.height != Int(height) }
        }
    }

    private func isMatched(_ text: String) -> Bool { text.range(of: argument, options: .regularExpression) != nil }
}
