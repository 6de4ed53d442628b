/// SAM, CLIP and the projector: square views to embeddings of the decoder (MODEL.md sections 5 to 7).
struct DeepEncoder<B: Backend> {
    private let backend: B
    private let sam: SAMTower<B>
    private let clip: CLIPTower<B>
    private let projector: Linear<B>
    /// `[1, hidden]`: ends every line of positions.
    private let imageNewline: B.Tensor
    /// `[1, hidden]`: ends the image.
    private let viewSeparator: B.Tensor

    init(_ loader: WeightLoader<B>, _ configuration: ModelConfiguration) throws(InferenceError) {
        backend = loader.backend
        sam = try SAMTower(loader.below("sam_model"), configuration.sam)
        clip = try CLIPTower(loader.below("vision_model"), configuration.clip)
        projector = try loader.linear("projector.layers")
        imageNewline = try loader.table("image_newline")
        viewSeparator = try loader.table("view_seperator")
    }

    /// Views of one side, a multiple of 64, to `[views * n * n, hidden]`, n being the side / 64.
    func encode(_ views: [PreparedImage.View], _ run: EncoderRun) throws(InferenceError) -> B.Tensor {
        guard let side = views.first?.side, views.allSatisfy({ $0.side == side }) else {
            throw .badRequest("The views to encode are not of one size.")
        }
        guard side > 0, side % 64 == 0 else {
            throw .badRequest("A view has a side of \(side) pixels, which is not a multiple of 64.")
        }
        let n = side / 64
        let together = max(1, backend.positionsTogether / (16 * n * n))
        var parts: [B.Tensor] = []
        for first in stride(from: 0, to: views.count, by: together) {
            let batch = Array(views[first..<min(views.count, first + together)])
            let local = try sam.encode(batch, side: side, run)
            let global = try clip.encode(local, views: batch.count, side: n, run)
            let withoutClass = (0..<Int32(batch.count * (n * n + 1))).filter { $0 % Int32(n * n + 1) != 0 }
            let joint = backend.joinColumns(backend.gatherRows(withoutClass, from: [global]), local)
            let out = projector.apply(joint, on: backend)
            run.record("projector.out", [batch.count, n, n, out.columns]) { backend.download(out) }
            parts.append(out)
        }
        guard parts.count > 1 else { return parts[0] }
        return backend.gatherRows((0..<Int32(views.count * n * n)).map { $0 }, from: parts)
    }

    /// Pages to their `[tokenCount, hidden]` embeddings each: joined tile lines, page lines, separator.
    ///
    /// Views of one side are encoded together, whichever page they are of.
    func encode(_ images: [PreparedImage], _ run: EncoderRun) throws(InferenceError) -> [B.Tensor] {
        let pages = try encode(images.map { [$0.view] }, prefix: "view.", run)
        let tiles = try encode(images.map(\.tiles), prefix: "tiles.", run)
        var embeddings: [B.Tensor] = []
        for (image, (page, tiles)) in zip(images, zip(pages, tiles)) {
            let rows = ImageLayout.rows(
                page: image.view.side / 64, tile: (image.tiles.first?.side ?? 0) / 64, grid: image.grid)
            embeddings.append(gather(rows, page: page, tiles: tiles))
        }
        return embeddings
    }

    /// The rows of (newline, separator, page positions, tile positions).
    private func gather(_ rows: [Int32], page: Part?, tiles: Part?) -> B.Tensor {
        var sources = [imageNewline, viewSeparator]
        var places: [Int32] = [0, 1]
        var total = Int32(2)
        for part in [page, tiles].compactMap({ $0 }) {
            places += part.rows.map { total + Int32($0) }
            total += Int32(part.tensor.rows)
            sources.append(part.tensor)
        }
        return backend.gatherRows(rows.map { places[Int($0)] }, from: sources)
    }

    /// Where a page's positions lie in what was encoded together.
    private struct Part {
        let tensor: B.Tensor
        let rows: Range<Int>
    }

    /// The parts of each page's views; nil for a page without any.
    private func encode(
        _ views: [[PreparedImage.View]], prefix: String, _ run: EncoderRun
    ) throws(InferenceError) -> [Part?] {
        var parts: [Part?] = Array(repeating: nil, count: views.count)
        for side in Set(views.compactMap { $0.first?.side }).sorted() {
            let own = views.indices.filter { views[$0].first?.side == side }
            let tensor = try encode(
                own.flatMap { views[$0] }, EncoderRun(trace: run.trace, prefix: prefix, isCancelled: run.isCancelled))
            var next = 0
            for place in own {
                let count = views[place].count * (side / 64) * (side / 64)
                parts[place] = Part(tensor: tensor, rows: next..<next + count)
                next += count
            }
        }
        return parts
    }
}
