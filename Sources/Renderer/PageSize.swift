import Rendering

/// How large a PDF page is drawn.
struct PageSize {
    let width: Int
    let height: Int
    /// Pixels a point, along and down.
    let scale: (x: Double, y: Double)
    let dpi: Double

    /// Pages are never drawn coarser than this, whatever the limits.
    private static let leastDPI = 72.0
    /// cairo's images reach no further than this on a side.
    private static let longestSide = 32_767

    /// `points` is the visible page after rotation; a scan is drawn at its own resolution, all else at that asked for.
    init(points: (width: Double, height: Double), scan: Scan?, limits: RenderLimits) throws(RenderError) {
        guard points.width > 0, points.height > 0, points.width < 1e7, points.height < 1e7 else {
            throw RenderError(.damaged, "The page has no usable size (\(points.width) x \(points.height) points).")
        }
        if let scan, let exact = scan.exactSize, Self.fits(exact.width, exact.height, limits) {
            (width, height) = exact
            scale = (Double(exact.width) / points.width, Double(exact.height) / points.height)
            dpi = 72 * scale.x
            return
        }
        func sides(_ dpi: Double) -> (width: Int, height: Int) {
            // A hair off, so that 595.2 points at 144 dpi, 1190.4000000000001 pixels, do not depend on rounding.
            func pixels(_ points: Double) -> Int { max(1, Int((points * dpi / 72 - 0.001).rounded(.up))) }
            return (pixels(points.width), pixels(points.height))
        }
        let wanted = scan?.dpi(otherwise: Double(limits.pdfDPI)) ?? Double(limits.pdfDPI)
        var chosen = wanted
        var size = sides(chosen)
        while !Self.fits(size.width, size.height, limits), chosen > Self.leastDPI {
            chosen = max(Self.leastDPI, (chosen * 0.95).rounded(.down))
            size = sides(chosen)
        }
        guard Self.fits(size.width, size.height, limits) else {
            throw RenderError(
                .tooLarge,
                "The page is \(size.width) x \(size.height) pixels even at \(Int(Self.leastDPI)) dpi, more than "
                    + "the limit of \(limits.maxPixels) pixels: raise the limit, or scale the page down.")
        }
        (width, height) = size
        scale = (chosen / 72, chosen / 72)
        dpi = chosen
    }

    private static func fits(_ width: Int, _ height: Int, _ limits: RenderLimits) -> Bool {
        width <= longestSide && height <= longestSide && width * height <= limits.maxPixels
    }
}
