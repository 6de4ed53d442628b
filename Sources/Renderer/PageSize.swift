import Rendering

/// How large a PDF page is drawn.
struct PageSize {
    let width: Int
    let height: Int
    /// Pixels a unit of the page, along and down.
    let scale: (x: Double, y: Double)
    let dpi: Double

    /// A lone picture of fewer pixels on a side is a ground or a line, not what the page shows.
    private static let leastPicture = 32
    /// A page of more units on a side is none.
    private static let mostUnits = 1e7

    /// `page` is what is seen of it, in units of `userUnit` / 72 inches.
    ///
    /// A page that is one picture gets that picture's pixels. One that pictures fill together gets the resolution of the
    /// finest, and all others that asked for; neither is less than asked for. Above the limit of pixels, fewer and a note.
    init(
        page: (width: Double, height: Double), userUnit: Double, contents: PDFContents, limits: RenderLimits,
        notes: PageNotes
    ) throws(RenderError) {
        guard page.width > 0, page.height > 0, page.width < Self.mostUnits, page.height < Self.mostUnits else {
            throw RenderError(.damaged, "The page has no usable size (\(page.width) x \(page.height) points).")
        }
        let usual = Double(limits.pdfDPI)
        let own = PageCover.resolution(contents.pictures, page: page, userUnit: userUnit)
        let lone = own == nil ? nil : Self.lone(contents, usual, userUnit)
        if let exact = lone?.size(filling: page) {
            let factor = Self.factor(exact, limits)
            (width, height) = ((exact.width + factor - 1) / factor, (exact.height + factor - 1) / factor)
            scale = (Double(width) / page.width, Double(height) / page.height)
            dpi = 72 * scale.x / userUnit
            if factor > 1 {
                notes.add(
                    .pictureReduced,
                    "The page's picture of \(exact.width) x \(exact.height) pixels is reduced to a \(Self.part(factor)) on "
                        + "each side, to stay within \(limits.pixelsSetting).")
            }
            return
        }
        func sides(_ dpi: Double) -> (width: Int, height: Int) {
            // A hair off, so that 595.2 points at 144 dpi, 1190.4000000000001 pixels, do not depend on rounding.
            func pixels(_ units: Double) -> Int { max(1, Int((units * userUnit * dpi / 72 - 0.001).rounded(.up))) }
            return (pixels(page.width), pixels(page.height))
        }
        let wanted = lone != nil ? own ?? usual : max(own ?? usual, usual)
        var chosen = wanted
        var size = sides(chosen)
        while size.width > limits.maxPixels / size.height, chosen > 0.01 {
            let fit = (Double(limits.maxPixels) / (Double(size.width) * Double(size.height))).squareRoot()
            chosen *= min(0.995, fit)
            size = sides(chosen)
        }
        if chosen < wanted {
            notes.add(
                own == nil ? .resolutionReduced : .pictureReduced,
                "The page is drawn at \(Self.dots(chosen)) instead of \(Self.dots(wanted)) dots an inch, to stay within "
                    + "\(limits.pixelsSetting).")
        }
        (width, height) = size
        scale = (chosen * userUnit / 72, chosen * userUnit / 72)
        dpi = chosen
    }

    /// The picture that is all there is to see of the page.
    ///
    /// Lines over a picture that is as fine as asked for lose nothing by its resolution.
    private static func lone(_ contents: PDFContents, _ usual: Double, _ userUnit: Double) -> PDFPicture? {
        guard contents.pictures.count == 1, let picture = contents.pictures.first,
            min(picture.width, picture.height) >= leastPicture, contents.lastCharacter < picture.order,
            contents.lastPath < picture.order || picture.resolution(userUnit: userUnit) >= usual
        else { return nil }
        return picture
    }

    /// The least whole factor that brings a picture below the limit.
    private static func factor(_ size: (width: Int, height: Int), _ limits: RenderLimits) -> Int {
        var factor = 1
        func reduced(_ side: Int) -> Int { (side + factor - 1) / factor }
        while reduced(size.width) > limits.maxPixels / reduced(size.height) { factor += 1 }
        return factor
    }

    private static func part(_ factor: Int) -> String { factor == 2 ? "half" : factor == 3 ? "third" : "\(factor)th" }

    private static func dots(_ dpi: Double) -> String {
        dpi >= 10 ? "\(Int(dpi.rounded()))" : "\(Double(Int(dpi * 100)) / 100)"
    }
}
