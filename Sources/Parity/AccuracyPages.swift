package import Inference
package import SystemPackage

/// A page that a model reads at several precisions.
package struct AccuracyPage: Sendable {
    package let name: String
    package let image: PreparedImage
    /// Ids, with an image token for each row of the image's embeddings.
    package let prompt: [Int32]
    package let options: GenerationOptions
    /// What an independent implementation answered in f32.
    package let golden: [Int32]?
    /// The true text, and the page's size in pixels, which the text's boxes refer to.
    package let truth: Truth?

    /// What is written on a page.
    package struct Truth: Sendable {
        package let text: String
        package let width: Int
        package let height: Int
    }
}

/// Pages for one checkpoint.
package struct AccuracyPages: Sendable {
    package let name: String
    /// The checkpoint's directory.
    package let model: FilePath
    package let pages: [AccuracyPage]
}

extension AccuracyPages {
    /// The whole generations of a golden directory, for each of its checkpoints.
    ///
    /// - Throws: where the directory has none, or one of them cannot be read.
    package static func golden(
        _ folder: GoldenFolder, images: GoldenImages
    ) throws(ParityError) -> [AccuracyPages] {
        var sets: [AccuracyPages] = []
        for file in folder.generationFiles {
            let name = String(file.dropFirst("generate-".count).dropLast(".json".count))
            // A part of the directory may lack a checkpoint's weights, for size.
            guard folder.has("\(name)/model.safetensors") else { continue }
            let cases: [GenerationCase] = try folder.json(file)
            var pages: [AccuracyPage] = []
            for item in cases {
                pages.append(
                    AccuracyPage(
                        name: item.name,
                        image: Preprocessor.prepare(try images.image(item.image), geometry: item.geometry),
                        prompt: item.promptIDs, options: item.options, golden: item.generated, truth: nil))
            }
            sets.append(AccuracyPages(name: "golden \(name)", model: folder.path.appending(name), pages: pages))
        }
        guard !sets.isEmpty else {
            throw ParityError("\(folder.path) has no generate-*.json with the checkpoint that it belongs to")
        }
        return sets
    }

    /// The pages of an archive that have a truth, as a pipeline asks this model about them.
    ///
    /// - Parameters:
    ///   - archive: the pages.
    ///   - model: the model's directory.
    ///   - prompt: nil asks what that directory says.
    /// - Returns: One set, named for the model and the prompt.
    /// - Throws: where the model directory cannot be read or a prompt does not fit.
    package static func samples(
        _ archive: SampleArchive, model: FilePath, prompt: String? = nil
    ) throws(ParityError) -> AccuracyPages {
        do throws(InferenceError) {
            let configuration = try ModelConfiguration(contentsOf: model.appending("config.json"))
            let defaults = try ModelDefaults(directory: model)
            let tokenizer = try Tokenizer(contentsOf: model.appending("tokenizer.json"))
            let exempt = Set(["<td>", "</td>"].compactMap(tokenizer.id(of:)))
            var pages: [AccuracyPage] = []
            for page in archive.pages {
                let image = Preprocessor.prepare(page.image, geometry: defaults.mode.geometry)
                let ids = try Prompt.ids(
                    prompt ?? defaults.prompt, tokenCounts: [image.tokenCount], tokenizer: tokenizer,
                    bos: configuration.decoder.beginToken, imageToken: configuration.imageToken)
                pages.append(
                    AccuracyPage(
                        name: page.name, image: image, prompt: ids,
                        options: GenerationOptions(
                            maxNewTokens: defaults.maxNewTokens,
                            rule: page.isPDF ? .pdf(exempt: exempt) : .image(exempt: exempt)),
                        golden: nil,
                        truth: AccuracyPage.Truth(
                            text: page.truth, width: page.image.width, height: page.image.height)))
            }
            let name = model.lastComponent?.string ?? model.string
            return AccuracyPages(
                name: prompt.map { "\(name), \($0.split(separator: "\n").joined(separator: " "))" } ?? name,
                model: model, pages: pages)
        } catch {
            throw ParityError("\(error)")
        }
    }
}
