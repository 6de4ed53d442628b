import Inference
import SystemPackage

/// Whole pages to text: `generate-*.json` with `scores-*.safetensors`.
struct GenerationParity {
    let folder: GoldenFolder
    let images: GoldenImages
    let threads: Int

    /// Runs every case of the file on a checkpoint; a line a case.
    func run(_ file: String, name: String, checkpoint: String, report: (ParityLine) -> Void) throws(ParityError) {
        let cases: [GenerationCase] = try folder.json(file)
        let scoreFile = "scores-\(name).safetensors"
        let scores = folder.has(scoreFile) ? try TensorFile(folder, scoreFile) : nil
        if scores == nil {
            report(ParityLine(.skipped, scoreFile, "not in the directory; tokens are compared without scores"))
        }
        let golden = try GoldenModel(folder, checkpoint, threads: threads)
        let tokenizer: Tokenizer
        do throws(InferenceError) {
            tokenizer = try Tokenizer(contentsOf: golden.directory.appending("tokenizer.json"))
        } catch {
            throw ParityError("\(error)")
        }
        for item in cases {
            let title = "generate \(item.name) on \(checkpoint)"
            do throws(ParityError) {
                report(try run(item, golden, tokenizer, scores: scores?.tensors[item.name], title: title))
            } catch {
                report(ParityLine(.failed, title, "\(error)"))
            }
        }
    }

    private func run(
        _ item: GenerationCase, _ golden: GoldenModel, _ tokenizer: Tokenizer, scores: TensorFile.Tensor?, title: String
    ) throws(ParityError) -> ParityLine {
        var comparison = Comparison()
        let image = try images.image(item.image)
        let prepared = Preprocessor.prepare(image, geometry: item.geometry)
        comparison.expect(
            [prepared.grid.columns, prepared.grid.rows] == item.grid,
            "the grid is \(prepared.grid.columns) x \(prepared.grid.rows), expected \(item.grid)")
        comparison.expect(
            [image.width, image.height] == [item.width, item.height],
            "the image has \(image.width) x \(image.height) pixels, expected \(item.width) x \(item.height)")

        let configuration = golden.model.configuration
        let generation: Generation
        var rows: [[Float]] = []
        let keptRows = scores?.shape.first ?? 0
        do throws(InferenceError) {
            let prompt = try Prompt.ids(
                item.prompt, tokenCounts: [prepared.tokenCount], tokenizer: tokenizer,
                bos: configuration.decoder.beginToken, imageToken: configuration.imageToken)
            comparison.expect(prompt == item.promptIDs, "the prompt's ids differ")
            generation = try golden.model.generate(
                prompt: prompt, images: [try golden.model.encodeImage(prepared)],
                options: item.options
            ) { values in
                if rows.count < keptRows { rows.append(values) }
            }
        } catch {
            throw ParityError("\(error)")
        }
        let tokens = generation.tokens
        let parting = zip(tokens, item.generated).enumerated().first { $1.0 != $1.1 }?.offset
        if let parting {
            comparison.expect(
                false, "the tokens part at \(parting): \(tokens[parting]), expected \(item.generated[parting])")
        } else {
            comparison.expect(
                tokens.count == item.generated.count, "\(tokens.count) tokens, expected \(item.generated.count)")
        }
        comparison.expect(generation.reachedEnd == item.ended, "the end token is \(item.ended ? "not " : "")reached")
        let error = compare(rows, with: scores, until: parting, &comparison)
        compareText(tokenizer.decode(tokens), with: item, &comparison)
        return comparison.line(title, "\(tokens.count) tokens equal, text and layout equal, \(error)")
    }

    /// Scores before each token, up to where the tokens part; the banned ones must be the same.
    private func compare(
        _ rows: [[Float]], with expected: TensorFile.Tensor?, until parting: Int?, _ comparison: inout Comparison
    ) -> String {
        guard let expected else { return "no scores to compare" }
        guard let floats = expected.floats, expected.shape.count == 2 else {
            comparison.expect(false, "the scores in the file are not one row a token")
            return ""
        }
        let width = expected.shape[1]
        let steps = min(expected.shape[0], parting.map { $0 + 1 } ?? .max)
        comparison.expect(
            rows.count >= steps && rows.allSatisfy { $0.count == width },
            "\(rows.count) rows of scores, expected \(expected.shape)")
        guard rows.allSatisfy({ $0.count == width }) else { return "" }
        let compared = min(steps, rows.count)
        let ours = rows[..<compared].joined()
        let wanted = floats[..<(compared * width)]
        let otherBans = zip(ours, wanted).count { ($0 == -.infinity) != ($1 == -.infinity) }
        comparison.expect(otherBans == 0, "\(otherBans) scores are banned on one side only")
        var error = TensorError()
        error.add("", Array(ours), expected: wanted)
        comparison.expect(error.isTolerable, "scores: \(error.description)")
        return "scores of \(compared) steps, \(error.description)"
    }

    private func compareText(_ text: String, with item: GenerationCase, _ comparison: inout Comparison) {
        comparison.expect(isSame(text, item.text), "the text differs")
        comparison.expect(isSame(OfficialMarkdown.image(text), item.markdown), "the Markdown differs")
        let regions = LayoutRegion.regions(in: text)
        comparison.expect(
            regions.count == item.regions.count
                && zip(item.regions, regions).allSatisfy { $0.equals($1, width: item.width, height: item.height) },
            "the regions differ")
        comparison.expect(
            OfficialMarkdown.crops(text, width: item.width, height: item.height).map(GoldenCrop.init) == item.crops,
            "the crops differ")
    }
}
