import Inference

/// One forward pass, stage by stage: `stages-*.safetensors`.
struct StageParity {
    let folder: GoldenFolder
    let images: GoldenImages
    let threads: Int

    /// Compares every tensor of the file; where the image is not named, the one that fits best.
    func run(_ file: String, name: String, checkpoint: String) throws(ParityError) -> ParityLine {
        let expected = try TensorFile(folder, file)
        guard let ids = expected.tensors["input.ids"]?.integers else { throw ParityError("\(file) has no input.ids") }
        let golden = try GoldenModel(folder, checkpoint, threads: threads)
        let prompt = ids.map { Int32(truncatingIfNeeded: $0) }
        let tokens = golden.imageTokens(in: prompt)
        var best: ParityLine?
        for candidate in try candidates(expected, name: name, tokens: tokens) {
            let activations = try trace(golden, candidate.image, prompt, allScores: expected.tensors["logits"] != nil)
            let line = compare(activations, with: expected, name: "\(file) on \(checkpoint)", image: candidate.name)
            if best == nil || line.outcome == .passed { best = line }
            if line.outcome == .passed { break }
        }
        guard let best else { throw ParityError("no image makes the \(tokens) image tokens of \(file)") }
        return best
    }

    // MARK: The image

    private func candidates(
        _ expected: TensorFile, name: String, tokens: Int
    ) throws(ParityError) -> [(name: String, image: PreparedImage)] {
        if expected.tensors["input.view"] != nil {
            return [("its own pixels", try ownPixels(expected, tokens: tokens))]
        }
        let stages =
            folder.has("spec.py")
            ? StageSpecification.stages(in: String(decoding: try folder.bytes("spec.py"), as: UTF8.self)) : []
        let stage = stages.first { $0.name == name && $0.geometry != nil }
        guard let geometry = stage?.geometry ?? ResolutionMode(rawValue: name)?.geometry else {
            throw ParityError("the file has no input.view, and neither its name nor spec.py says which mode it is")
        }
        let names = stage?.image.map { [$0] } ?? images.names
        var candidates: [(name: String, image: PreparedImage)] = []
        for name in names {
            let prepared = Preprocessor.prepare(try images.image(name), geometry: geometry)
            if prepared.tokenCount == tokens { candidates.append((name, prepared)) }
        }
        return candidates
    }

    /// The view and the tiles that the file holds; how the tiles lie follows from the number of image tokens.
    private func ownPixels(_ file: TensorFile, tokens: Int) throws(ParityError) -> PreparedImage {
        guard let input = file.tensors["input.view"], let pixels = input.bytes, input.shape.count == 3,
            input.shape[0] == input.shape[1], input.shape[2] == 3
        else { throw ParityError("input.view is not a square of RGB bytes") }
        let view = PreparedImage.View(side: input.shape[0], bytes: pixels)
        guard let tiles = file.tensors["input.tiles"] else { return PreparedImage(view: view) }
        guard let bytes = tiles.bytes, tiles.shape.count == 4, tiles.shape[1] == tiles.shape[2], tiles.shape[3] == 3
        else {
            throw ParityError("input.tiles are not squares of RGB bytes")
        }
        let (count, side) = (tiles.shape[0], tiles.shape[1])
        let grids = (1...max(count, 1)).filter { count.isMultiple(of: $0) }.map {
            TileGrid(columns: $0, rows: count / $0)
        }
        guard let grid = grids.first(where: { TileGrid.tokenCount(base: view.side, tile: side, grid: $0) == tokens })
        else {
            throw ParityError("no grid of \(count) tiles has \(tokens) image tokens")
        }
        let size = side * side * 3
        return PreparedImage(
            view: view,
            tiles: (0..<count).map { .init(side: side, bytes: Array(bytes[($0 * size)..<(($0 + 1) * size)])) },
            grid: grid)
    }

    // MARK: Run and compare

    private func trace(
        _ golden: GoldenModel, _ image: PreparedImage, _ prompt: [Int32], allScores: Bool
    ) throws(ParityError) -> [String: ActivationTrace.Activation] {
        let trace = ActivationTrace()
        do throws(InferenceError) {
            let embeddings = try golden.model.encodeImage(image, trace: trace)
            let input = try golden.model.embed(prompt, images: [embeddings], trace: trace)
            let cache = golden.model.backend.makeCache(in: golden.model.makePool(tokens: prompt.count))
            _ = golden.model.backend.reserve(prompt.count, in: cache)
            let hidden = try golden.model.advance(
                input, rows: [prompt.count], caches: [cache], trace: trace, allRows: allScores)
            _ = golden.model.scores(hidden, trace: trace, allRows: allScores)
        } catch {
            throw ParityError("\(error)")
        }
        return trace.activations
    }

    private func compare(
        _ actual: [String: ActivationTrace.Activation], with expected: TensorFile, name: String, image: String
    ) -> ParityLine {
        var comparison = Comparison()
        var error = TensorError()
        for (stage, tensor) in expected.tensors.sorted(by: { $0.key < $1.key }) where !stage.hasPrefix("input.") {
            guard let values = actual[stage] else {
                comparison.expect(false, "\(stage) is not computed")
                continue
            }
            comparison.expect(
                values.shape == tensor.shape, "\(stage) has the shape \(values.shape), expected \(tensor.shape)")
            guard values.shape == tensor.shape else { continue }
            if stage == "router.index" || stage == "router.weight" { continue }
            guard let floats = tensor.floats else {
                comparison.expect(false, "\(stage) is not in floating point in the file")
                continue
            }
            var own = TensorError()
            own.add(stage, values.values, expected: floats)
            comparison.expect(own.isTolerable, "\(stage): \(own.description)")
            error.add(stage, values.values, expected: floats)
        }
        if expected.tensors["router.index"] != nil { compareRouting(actual, with: expected, &comparison, &error) }
        let tensors = expected.names.count { !$0.hasPrefix("input.") }
        return comparison.line(name, "\(tensors) tensors of \(image), \(error.description)")
    }

    /// Experts as sets, weights by expert: the order of near ties is nobody's business.
    private func compareRouting(
        _ actual: [String: ActivationTrace.Activation], with expected: TensorFile, _ comparison: inout Comparison,
        _ error: inout TensorError
    ) {
        guard let indices = expected.tensors["router.index"]?.integers,
            let shape = expected.tensors["router.index"]?.shape,
            let weights = expected.tensors["router.weight"]?.floats, let ownIndices = actual["router.index"]?.values,
            let ownWeights = actual["router.weight"]?.values, shape.count == 2, shape[1] > 0,
            indices.count == weights.count,
            indices.count == ownIndices.count, indices.count == ownWeights.count
        else { return comparison.expect(false, "router.index and router.weight do not fit each other") }
        func sorted(_ experts: some Collection<Int>, _ weights: some Collection<Float>) -> [(Int, Float)] {
            zip(experts, weights).sorted { $0.0 < $1.0 }
        }
        var values: [Float] = []
        var wanted: [Float] = []
        var differing = 0
        for start in stride(from: 0, to: indices.count, by: shape[1]) {
            let row = start..<(start + shape[1])
            let theirs = sorted(indices[row], weights[row])
            let ours = sorted(ownIndices[row].map { Int($0) }, ownWeights[row])
            guard theirs.map(\.0) == ours.map(\.0) else {
                differing += 1
                continue
            }
            values += ours.map(\.1)
            wanted += theirs.map(\.1)
        }
        comparison.expect(differing == 0, "router.index: \(differing) tokens go to other experts")
        var own = TensorError()
        own.add("router.weight", values, expected: wanted)
        comparison.expect(own.isTolerable, "router.weight: \(own.description)")
        error.add("router.weight", values, expected: wanted)
    }
}
