package import Shared

/// How far a batch is, on one line.
package struct ProgressLine: Sendable, Hashable {
    /// Pages that are settled, however they ended.
    package var done: Int
    package var total: Int
    /// Of those done, the failed and quarantined ones.
    package var failed: Int
    /// Of those done, the ones to which no file leads.
    package var stranded: Int
    package var pagesPerMinute: Double?
    package var secondsLeft: Double?

    package init(
        done: Int, total: Int, failed: Int = 0, stranded: Int = 0, pagesPerMinute: Double? = nil,
        secondsLeft: Double? = nil
    ) {
        self.done = done
        self.total = total
        self.failed = failed
        self.stranded = stranded
        self.pagesPerMinute = pagesPerMinute
        self.secondsLeft = secondsLeft
    }

    /// Such as `12 of 40 pages, 1 failed, 38.2 pages a minute, 45 s left`.
    package var text: String {
        var parts = ["\(done) of \(NumberText.count(total, "page"))"]
        if failed > 0 { parts.append("\(failed) failed") }
        if stranded > 0 { parts.append("\(stranded) stranded") }
        if let pagesPerMinute, done < total { parts.append("\(NumberText.rate(pagesPerMinute)) pages a minute") }
        if let secondsLeft, done < total { parts.append("\(DurationText.text(seconds: secondsLeft)) left") }
        return parts.joined(separator: ", ")
    }

    /// The text behind a bar of 24 characters, such as `[#####...] 30 %  12 of 40 pages`.
    package var textWithBar: String {
        let share = total > 0 ? min(1, max(0, Double(done) / Double(total))) : 1
        let full = Int(share * 24)
        let bar = String(repeating: "#", count: full) + String(repeating: ".", count: 24 - full)
        // A hundred percent is said only when all is done.
        return "[\(bar)] \(Int(share * 100)) %  \(text)"
    }
}

extension ProgressLine {
    /// The progress that a batch reports.
    package init(_ status: BatchStatus) {
        let pages = status.pages
        self.init(
            done: pages.total - pages.pending, total: pages.total, failed: pages.failed + pages.quarantined,
            stranded: pages.stranded,
            pagesPerMinute: status.pagesPerMinute, secondsLeft: status.secondsLeft)
    }
}
