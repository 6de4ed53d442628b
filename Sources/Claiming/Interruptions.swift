/// Whose failure it is that rendering processes are killed, or get no time: a decision without a machine.
///
/// The kernel kills them where memory is short, whatever they draw; a page may also need more memory than there will ever
/// be. A page is to blame where it alone is interrupted while others are read.
package struct Interruptions: Sendable {
    private struct Page: Hashable {
        var document: Int64
        var page: Int
    }

    private struct Count {
        var times = 0
        /// How often of these another page had been read since the last time.
        var whileOthersWere = 0
        var successes = 0
    }

    private static let most = 3
    /// Where there are no others, as at the end of a batch; with the pauses of an unwell machine these are minutes.
    private static let mostAlone = 10
    private static let mostPages = 10_000

    private var pages: [Page: Count] = [:]
    private var successes = 0

    package init() {}

    /// Notes that a page was read.
    package mutating func succeeded() { successes += 1 }

    /// Notes that a page was interrupted; whether it is the page's own failure.
    ///
    /// Where it is, its count begins anew.
    package mutating func isPages(_ document: Int64, _ page: Int) -> Bool {
        let key = Page(document: document, page: page)
        if pages.count >= Self.mostPages { pages = [:] }
        var count = pages[key] ?? Count()
        count.times += 1
        if count.times == 1 || successes > count.successes { count.whileOthersWere += 1 }
        count.successes = successes
        pages[key] = count
        guard count.whileOthersWere >= Self.most || count.times >= Self.mostAlone else { return false }
        pages[key] = nil
        return true
    }
}
