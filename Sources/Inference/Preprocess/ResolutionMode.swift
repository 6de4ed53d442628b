/// The paper's six resolution modes (section 3.2.2; MODEL.md section 3).
package enum ResolutionMode: String, CaseIterable, Sendable, Codable {
    case tiny
    case small
    case base
    case large
    case gundam
    case gundamM = "gundam-m"

    /// The views that this mode makes of a page.
    package var geometry: ViewGeometry {
        switch self {
        case .tiny: ViewGeometry(base: 512, tile: 512, crops: false)
        case .small: ViewGeometry(base: 640, tile: 640, crops: false)
        case .base: ViewGeometry(base: 1024, tile: 1024, crops: false)
        case .large: ViewGeometry(base: 1280, tile: 1280, crops: false)
        case .gundam: ViewGeometry(base: 1024, tile: 640, crops: true)
        case .gundamM: ViewGeometry(base: 1280, tile: 1024, crops: true)
        }
    }
}

/// What views are made of a page.
package struct ViewGeometry: Sendable, Hashable {
    /// Side of the whole-page view in pixels, a multiple of 64.
    package var base: Int
    /// Side of a tile in pixels, a multiple of 64.
    package var tile: Int
    /// Whether pages larger than 640 pixels are also cut into tiles.
    package var crops: Bool
    /// The most tiles that a page is cut into.
    package var maxTiles: Int

    package init(base: Int, tile: Int, crops: Bool, maxTiles: Int = 9) {
        self.base = base
        self.tile = tile
        self.crops = crops
        self.maxTiles = maxTiles
    }
}
