/// The mixture of experts: rows are sorted by expert on the GPU, and nothing waits for how many each gets.
extension CUDABackend {
    /// Rows that a block of `route_rows` takes (router.cuh).
    private static let routerRows = 8

    package func route(
        _ x: CUDATensor, gate: CUDAWeight, count: Int, normalised: Bool, scale: Float
    ) -> CUDARouting {
        precondition(x.columns == gate.inputs && count <= gate.outputs, "x fits the gate")
        let x = narrowed(x)
        let indices = context.take(x.rows * count * 4, on: stream)
        let weights = context.take(x.rows * count * 4, on: stream)
        launch(
            "route_rows", grid: ((x.rows + Self.routerRows - 1) / Self.routerRows, 1, 1), threads: 256,
            shared: Self.routerRows * (gate.inputs + gate.outputs) * 4,
            [
                x.argument, gate.argument, .address(indices.address), .address(weights.address), .int(x.rows),
                .int(gate.inputs), .int(gate.outputs), .int(count), .int(normalised ? 1 : 0), .float(scale),
            ])
        return CUDARouting(rows: x.rows, count: count, indices: indices, weights: weights)
    }

    package func contents(of routing: CUDARouting) -> (indices: [Int32], weights: [Float]) {
        let slots = routing.rows * routing.count
        return (
            read(Int32.self, slots, from: routing.indices.address) ?? Array(repeating: 0, count: slots),
            read(Float.self, slots, from: routing.weights.address) ?? Array(repeating: 0, count: slots)
        )
    }

    package func addExperts(
        _ x: CUDATensor, _ routing: CUDARouting, _ experts: CUDAExperts, shared: GatedMLP<CUDAWeight>,
        to sum: inout CUDATensor
    ) {
        let (gateUp, down) = (experts.mlps[0].gateUp, experts.mlps[0].down)
        precondition(x.rows == routing.rows && sum.rows == x.rows, "every row is routed")
        let x = narrowed(x)
        makeSum(&sum)
        let slots = routing.rows * routing.count
        let tile = ProductTile.best(rowsOfExpert: slots / experts.mlps.count)
        let sorted = sort(routing, slots: slots, experts: experts.mlps.count, tile: tile)
        let activated = matrix(slots, gateUp.outputs / 2)
        launch(
            "experts_up_\(tile.rows)", grid: (columnTiles(gateUp.outputs), sorted.tileCount, 1),
            threads: tile.threads, shared: tile.sharedBytes,
            [
                x.argument, .address(sorted.order.address), experts.upArgument, .address(sorted.tiles.address),
                .address(sorted.offsets.address), activated.argument, .int(gateUp.inputs), .int(gateUp.outputs),
                .int(routing.count),
            ])
        let results = matrix(slots, down.outputs)
        launch(
            "experts_down_\(tile.rows)", grid: (columnTiles(down.outputs), sorted.tileCount, 1),
            threads: tile.threads, shared: tile.sharedBytes,
            [
                activated.argument, experts.downArgument, .address(sorted.tiles.address),
                .address(sorted.offsets.address), results.argument, .int(down.inputs), .int(down.outputs),
            ])
        launch(
            "gather_experts", grid: ((sum.columns / 8 + 127) / 128, sum.rows, 1), threads: 128,
            [
                sum.argument, results.argument, .address(sorted.places.address), .address(routing.weights.address),
                .int(routing.count), .int(sum.columns),
            ])
        addGated(x, shared, to: &sum)
    }

    /// Slots (row, place) in the order of their experts, and the tiles of rows that products are made in.
    private struct SortedSlots {
        let order: DeviceBlock
        let places: DeviceBlock
        let offsets: DeviceBlock
        let tiles: DeviceBlock
        /// As many tiles as there can be.
        let tileCount: Int
    }

    private func sort(_ routing: CUDARouting, slots: Int, experts: Int, tile: ProductTile) -> SortedSlots {
        let tileCount = slots / tile.rows + min(slots, experts)
        let sorted = SortedSlots(
            order: context.take(slots * 4, on: stream), places: context.take(slots * 4, on: stream),
            offsets: context.take((experts + 1) * 4, on: stream), tiles: context.take(tileCount * 8, on: stream),
            tileCount: tileCount)
        launch(
            "sort_by_expert", grid: (experts, 1, 1), threads: 256, shared: 2 * experts * 4,
            [
                .address(routing.indices.address), .int(slots), .int(experts), .int(tile.rows),
                .address(sorted.offsets.address), .address(sorted.order.address), .address(sorted.places.address),
                .address(sorted.tiles.address), .int(tileCount),
            ])
        return sorted
    }
}
