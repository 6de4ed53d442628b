import Inference

/// A case of `generate-*.json`: a page, how to ask, and what the reference answered.
struct GenerationCase: Decodable {
    let name: String
    let image: String
    private let mode: Mode
    private let maxTiles: Int?
    let prompt: String
    let promptIDs: [Int32]
    let grid: [Int]
    private let rule: GoldenRule?
    let generated: [Int32]
    let ended: Bool
    let text: String
    let markdown: String
    let width: Int
    let height: Int
    let regions: [GoldenRegion]
    let crops: [GoldenCrop]

    enum CodingKeys: String, CodingKey {
        case name, mode, prompt, grid, rule, generated, ended, text, markdown, width, height, regions, crops
        case image = "image_file"
        case maxTiles = "max_tiles"
        case promptIDs = "prompt_ids"
    }

    /// The views that the mode makes, with this case's own limit of tiles.
    var geometry: ViewGeometry {
        var geometry = mode.geometry
        geometry.maxTiles = maxTiles ?? geometry.maxTiles
        return geometry
    }

    /// As many tokens as the reference generated, with this case's rule.
    var options: GenerationOptions { GenerationOptions(maxNewTokens: generated.count, rule: rule?.rule) }

    /// A mode's name, or `[base, tile, crop]`.
    private struct Mode: Decodable {
        let geometry: ViewGeometry

        init(from decoder: any Decoder) throws {
            if let name = try? decoder.singleValueContainer().decode(String.self) {
                guard let mode = ResolutionMode(rawValue: name) else { throw ParityError("\(name) is no known mode") }
                geometry = mode.geometry
            } else {
                var values = try decoder.unkeyedContainer()
                geometry = ViewGeometry(
                    base: try values.decode(Int.self), tile: try values.decode(Int.self),
                    crops: try values.decode(Bool.self))
            }
        }
    }
}
