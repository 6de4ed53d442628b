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
        // Few positions at a time bound the memory; from about 4096 rows on nothing is gained by more.
        let together = max(1, 6400 / (16 * n * n))
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

    /// A page to its `[tokenCount, hidden]` embeddings: joined tile lines, page lines, separator.
    func encode(_ image: PreparedImage, _ run: EncoderRun) throws(InferenceError) -> B.Tensor {
        let page = try encode(
            [image.view], EncoderRun(trace: run.trace, prefix: "view.", isCancelled: run.isCancelled))
        var sources = [imageNewline, viewSeparator, page]
        if let tile = image.tiles.first {
            let run = EncoderRun(trace: run.trace, prefix: "tiles.", isCancelled: run.isCancelled)
            sources.append(try encode(image.tiles, run))
            return backend.gatherRows(
                ImageLayout.rows(page: image.view.side / 64, tile: tile.side / 64, grid: image.grid), from: sources)
        }
        return backend.gatherRows(
            ImageLayout.rows(page: image.view.side / 64, tile: 0, grid: image.grid), from: sources)
    }
}
