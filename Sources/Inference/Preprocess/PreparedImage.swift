/// A page as the model takes it: square views in bytes, before they are normalised to [-1, 1].
package struct PreparedImage: Sendable {
    /// One square view: `side * side * 3` bytes, row-major, RGB.
    package struct View: Sendable, Equatable {
        package let side: Int
        package let bytes: [UInt8]

        package init(side: Int, bytes: [UInt8]) {
            precondition(bytes.count == side * side * 3, "a view has side * side * 3 bytes")
            self.side = side
            self.bytes = bytes
        }
    }

    /// The whole page.
    package let view: View
    /// The tiles, row by row; empty where the mode or the page's size makes none.
    package let tiles: [View]
    /// How the tiles lie; 1 x 1 when there are none.
    package let grid: TileGrid

    package init(view: View, tiles: [View] = [], grid: TileGrid = TileGrid(columns: 1, rows: 1)) {
        precondition(tiles.isEmpty || tiles.count == grid.columns * grid.rows, "one tile for each place in the grid")
        self.view = view
        self.tiles = tiles
        self.grid = grid
    }

    /// How many image tokens stand for this page in the prompt (MODEL.md section 4).
    package var tokenCount: Int {
        TileGrid.tokenCount(base: view.side, tile: tiles.first?.side ?? 0, grid: grid)
    }
}

/// Columns and rows of tiles.
package struct TileGrid: Sendable, Hashable {
    package let columns: Int
    package let rows: Int

    package init(columns: Int, rows: Int) {
        self.columns = columns
        self.rows = rows
    }

    /// Image tokens of a page: every line of positions ends in a newline, the page view in a separator.
    package static func tokenCount(base: Int, tile: Int, grid: TileGrid) -> Int {
        let n = base / 64
        let m = tile / 64
        let tiles = grid.columns * grid.rows > 1 ? grid.rows * m * (grid.columns * m + 1) : 0
        return n * (n + 1) + 1 + tiles
    }
}
