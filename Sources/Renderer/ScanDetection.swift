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
            let area = picture.area
            let visible = (
                width: min(max(area.x1, area.x2), width) - max(min(area.x1, area.x2), 0),
                height: min(max(area.y1, area.y2), height) - max(min(area.y1, area.y2), 0)
            )
            guard visible.width > 0, visible.height > 0,
                visible.width * visible.height >= Self.leastCover * width * height, covering < Self.mostPictures
            else {
                others = true
                continue
            }
            covering += 1
            guard let pixels = Self.size(of: picture.image_id, on: page) else { continue }
            let found = Self.scan(pixels, area: area, page: (width, height))
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

    private static func scan(
        _ pixels: (width: Int, height: Int), area: PopplerRectangle, page: (width: Double, height: Double)
    ) -> Scan {
        let (across, down) = (abs(area.x2 - area.x1), abs(area.y2 - area.y1))
        func resolution(_ width: Int, _ height: Int) -> (x: Double, y: Double) {
            (Double(width) * 72 / across, Double(height) * 72 / down)
        }
        func unevenness(_ dpi: (x: Double, y: Double)) -> Double { max(dpi.x, dpi.y) / min(dpi.x, dpi.y) }
        // A picture on a rotated page lies on its side: the likelier way is the one with even resolutions.
        let upright = resolution(pixels.width, pixels.height)
        let sideways = resolution(pixels.height, pixels.width)
        let isUpright = unevenness(upright) <= unevenness(sideways)
        let dpi = isUpright ? upright : sideways
        let fillsPage =
            abs(min(area.x1, area.x2)) < 0.5 && abs(min(area.y1, area.y2)) < 0.5
            && abs(across - page.width) < 0.5 && abs(down - page.height) < 0.5
        let size = isUpright ? pixels : (pixels.height, pixels.width)
        return Scan(
            dpi: max(dpi.x, dpi.y), hasMore: false, exactSize: fillsPage && unevenness(dpi) < 1.02 ? size : nil)
    }

    private static func hasText(_ page: OpaquePointer) -> Bool {
        guard let text = poppler_page_get_text(page) else { return false }
        defer { g_free(text) }
        return String(cString: text).contains { !$0.isWhitespace }
    }
}
