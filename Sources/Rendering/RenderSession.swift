import SystemPackage

/// One page of a session: its image, or why there is none.
package struct RenderedPage: Sendable {
    /// Counted from 1.
    package let page: Int
    package let result: Result<PageImage, RenderError>
    /// Time that rendering took.
    package let seconds: Double

    package init(page: Int, result: Result<PageImage, RenderError>, seconds: Double) {
        self.page = page
        self.result = result
        self.seconds = seconds
    }
}

/// A range of pages of one document on their way from `quire-render`, in order.
package actor RenderSession {
    private var remaining: ClosedRange<Int>?

    init(file: FilePath, pages: ClosedRange<Int>) {
        remaining = pages
    }

    /// The next page; nil after the last one and after `cancel`.
    package func next() async -> RenderedPage? {
        guard let range = remaining else { return nil }
        remaining = range.lowerBound < range.upperBound ? range.lowerBound + 1...range.upperBound : nil
        return RenderedPage(
            page: range.lowerBound, result: .failure(RenderError(.broken, "Rendering is not built.")), seconds: 0)
    }

    /// Kills the child; pages not yet handed out are dropped.
    package func cancel() {
        remaining = nil
    }
}
