private import CPoppler

/// The picture that fills a page, where one does.
struct Scan {
    /// Resolution along the finer side.
    fileprivate(set) var dpi: Double
    /// Whether there is text or another picture on the page as well.
    fileprivate(set) var hasMore: Bool
    /// The picture's own size, where it is the page, upright and at the same resolution both ways.
    fileprivate(set) var exactSize: (width: Int, height: Int)?

    /// Scans are drawn between these, whatever their pixels say.
    static let bounds = 72.0...400.0

    /// The dots an inch to draw at; text and pictures on top of a coarse scan keep the usual resolution.
    func dpi(otherwise usual: Double) -> Double {
        let own = min(max(dpi, Self.bounds.lowerBound), Self.bounds.upperBound)
        return hasMore ? max(own, usual) : own
    }
}

/// Finds out whether a page is a scan: a picture that covers at least nine tenths of it.
///
/// cairo shrinks pictures slowly and blurs them, so a scan is drawn at its own resolution (PLATFORM.md).
struct ScanDetection {
    private(set) var scan: Scan?

    /// Share of the page that a scan covers.
    private static let leastCover = 0.9
    /// Pictures that are decoded to learn their size; scans in layers have two or three.
    private static let mostPictures = 3

    init(_ page: OpaquePointer) {
        var (width, height) = (0.0, 0.0)
        poppler_page_get_size(page, &width, &height)
        guard width > 0, height > 0 else { return }
        let mapping = poppler_page_get_image_mapping(page)
        defer { poppler_page_free_image_mapping(mapping) }

        var others = false
        var covering = 0
        var node = mapping
        while let current = node {
            node = current.pointee.next
            guard let picture = current.pointee.data?.assumingMemoryBound(to: PopplerImageMapping.self).pointee
            else { continue }
            let drawn = Drawn(picture.area, page: (width, height))
            guard drawn.cover >= Self.leastCover, covering < Self.mostPictures else {
                others = true
                continue
            }
            covering += 1
            guard let pixels = Self.size(of: picture.image_id, on: page) else { continue }
            let found = drawn.scan(pixels)
            if found.dpi > scan?.dpi ?? 0 { scan = found }
        }
        guard scan != nil else { return }
        if others || covering > 1 || Self.hasText(page) {
            scan?.hasMore = true
            scan?.exactSize = nil
        }
        if let dpi = scan?.dpi, !Scan.bounds.contains(dpi) { scan?.exactSize = nil }
    }

    private static func size(of picture: Int32, on page: OpaquePointer) -> (width: Int, height: Int)? {
        guard let surface = poppler_page_get_image(page, picture) else { return nil }
        defer { cairo_surface_destroy(surface) }
        let size = (Int(cairo_image_surface_get_width(surface)), Int(cairo_image_surface_get_height(surface)))
        return size.0 > 0 && size.1 > 0 ? size : nil
    }

    /// How a picture lies on its page.
    ///
    /// poppler-glib says where its corner is too, but wrongly where the page is rotated or cropped; the lengths of the
    /// picture's own sides are always right.
    private struct Drawn {
        /// Points that the picture's rows and columns are long.
        private let across: Double
        private let down: Double
        /// The page as seen along the picture's rows and columns.
        private let page: (across: Double, down: Double)
        private let isUpright: Bool
        /// The share of the page that the picture covers if it lies on it as far as it can.
        let cover: Double

        init(_ area: PopplerRectangle, page: (width: Double, height: Double)) {
            across = abs(area.x2 - area.x1)
            down = abs(area.y2 - area.y1)
            let upright = min(across, page.width) * min(down, page.height)
            let sideways = min(across, page.height) * min(down, page.width)
            isUpright = upright >= sideways
            self.page = isUpright ? page : (page.height, page.width)
            cover = max(upright, sideways) / (page.width * page.height)
        }

        func scan(_ pixels: (width: Int, height: Int)) -> Scan {
            let dpi = (Double(pixels.width) * 72 / across, Double(pixels.height) * 72 / down)
            let isEven = max(dpi.0, dpi.1) < 1.02 * min(dpi.0, dpi.1)
            let fillsPage = abs(across - page.across) < 0.5 && abs(down - page.down) < 0.5
            let size = isUpright ? pixels : (pixels.height, pixels.width)
            return Scan(dpi: max(dpi.0, dpi.1), hasMore: false, exactSize: isEven && fillsPage ? size : nil)
        }
    }

    private static func hasText(_ page: OpaquePointer) -> Bool {
        guard let text = poppler_page_get_text(page) else { return false }
        defer { g_free(text) }
        return String(cString: text).contains { !$0.isWhitespace }
    }
}
