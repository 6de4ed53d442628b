/// The tiles that products are made in: so many rows, 128 outputs (tile.cuh).
struct ProductTile {
    let rows: Int
    let threads: Int
    /// Three stages of 64 inputs, two bytes each, of the tile's rows and outputs.
    var sharedBytes: Int { 3 * (rows + Self.outputs) * 64 * 2 }

    static let outputs = 128
    static let all = [16, 32, 64, 128].map { ProductTile(rows: $0, threads: $0 == 128 ? 256 : 128) }

    /// The largest tile of which there are enough for all multiprocessors; weights are read once for each tile of rows.
    static func best(rows: Int, outputs: Int, multiprocessors: Int) -> ProductTile {
        let across = (outputs + Self.outputs - 1) / Self.outputs
        let fitting = all.filter { $0.rows / 2 < rows }
        return fitting.last { across * $0.count(rows) >= multiprocessors } ?? all[0]
    }

    /// The tile for rows that are spread over experts: a little higher than what an expert gets.
    static func best(rowsOfExpert rows: Int) -> ProductTile {
        all.first { $0.rows * 4 >= rows * 5 } ?? all[all.count - 1]
    }

    /// How many tiles so many rows fill.
    func count(_ rows: Int) -> Int { (rows + self.rows - 1) / self.rows }
}
