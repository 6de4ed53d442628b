/// The order in which an image's embeddings stand in a prompt (MODEL.md section 4).
package enum ImageLayout {
    /// For each image token the row of (newline, separator, page positions, tile positions) that it is.
    ///
    /// - Parameters:
    ///   - page: positions along a side of the page view.
    ///   - tile: positions along a side of a tile; 0 without tiles.
    ///   - grid: how the tiles lie.
    /// - Returns: As many rows as the image has tokens.
    package static func rows(page: Int, tile: Int, grid: TileGrid) -> [Int32] {
        let newline: Int32 = 0
        let separator: Int32 = 1
        let pageStart = 2
        let tileStart = pageStart + page * page
        var rows: [Int32] = []
        if tile > 0 {
            for line in 0..<grid.rows * tile {
                let (row, y) = (line / tile, line % tile)
                for column in 0..<grid.columns {
                    let first = tileStart + ((row * grid.columns + column) * tile + y) * tile
                    rows += (first..<first + tile).map { Int32($0) }
                }
                rows.append(newline)
            }
        }
        for line in 0..<page {
            rows += (0..<page).map { Int32(pageStart + line * page + $0) }
            rows.append(newline)
        }
        rows.append(separator)
        return rows
    }
}
