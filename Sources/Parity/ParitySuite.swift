import Inference
package import SystemPackage

/// Every case of a directory laid out as the golden fixtures, compared with what this engine does.
package struct ParitySuite: Sendable {
    package let folder: GoldenFolder
    /// A `tokenizer.json` with the released model's vocabulary, which no directory includes.
    package let tokenizer: FilePath?
    /// How many threads the model runs on.
    package let threads: Int

    package init(_ folder: GoldenFolder, tokenizer: FilePath? = nil, threads: Int) {
        self.folder = folder
        self.tokenizer = tokenizer
        self.threads = threads
    }

    /// Runs everything and hands over a line a case as it comes.
    ///
    /// - Throws: where the directory holds no case at all.
    package func run(images: GoldenImages, report: (ParityLine) -> Void) throws(ParityError) {
        guard hasCases else {
            throw ParityError("\(folder.path) holds no case: it has none of the files that a directory of this layout has")
        }
        runExact(images: images, report: report)
        // runModels(images: images, report: report)
    }

    /// Whether the directory holds anything to compare.
    package var hasCases: Bool {
        Self.exactFiles.contains(where: folder.has)
    }

    /// Pixels, grids, tokens and text.
    package func runExact(images: GoldenImages, report: (ParityLine) -> Void) {
        let pages = PreprocessParity(folder: folder, images: images)
        let text = TextParity(folder: folder)
        let checks: [(file: String, run: () throws(ParityError) -> [ParityLine])] = [
            ("preprocess.json", pages.pages), ("resize.safetensors", pages.resizes), ("grid.json", pages.grids),
            ("token_counts.json", pages.tokenCounts), ("ngram.json", text.ngrams), ("layout.json", text.layouts),
        ]
        for check in checks { run(check.file, needing: [check.file], report, check.run) }
        runTokenizers(text, report)
    }

    private static let exactFiles = [
        "preprocess.json", "resize.safetensors", "grid.json", "token_counts.json", "ngram.json", "layout.json",
        "tokenizer.cases.json", "tokenizer.deepseek.json",
    ]

    /// Runs a check, or says which file it lacks; a check that cannot be run is a failure.
    func run(
        _ name: String, needing files: [String], _ report: (ParityLine) -> Void,
        _ check: () throws(ParityError) -> [ParityLine]
    ) {
        let missing = files.filter { !folder.has($0) }
        guard missing.isEmpty else {
            return report(ParityLine(.skipped, name, "\(missing.joined(separator: ", ")) is not in the directory"))
        }
        do throws(ParityError) {
            try check().forEach(report)
        } catch {
            report(ParityLine(.failed, name, "\(error)"))
        }
    }

    // MARK: Tokenizers

    private func runTokenizers(_ text: TextParity, _ report: (ParityLine) -> Void) {
        let cases = "tokenizer.cases.json"
        let folders = folder.names().filter { folder.has("\($0)/tokenizer.json") }
        if folders.isEmpty { report(ParityLine(.skipped, cases, "no checkpoint of the directory has a tokenizer.json")) }
        for name in folders {
            run(cases, needing: [cases], report) { () throws(ParityError) in
                let path = folder.path.appending(name).appending("tokenizer.json")
                return try text.tokens(cases, tokenizer: loadTokenizer(path), name: name)
            }
        }
        let real = "tokenizer.deepseek.json"
        guard let tokenizer else {
            let advice = "needs --tokenizer FILE: the released model's tokenizer.json, or the one that make_deepseek_cases.py writes"
            if folder.has(real) { report(ParityLine(.skipped, real, advice)) }
            return
        }
        let name = tokenizer.lastComponent?.string ?? tokenizer.string
        run(real, needing: [real], report) { () throws(ParityError) in
            try text.tokens(real, tokenizer: loadTokenizer(tokenizer), name: name)
        }
        run("deepseek_tokens.json", needing: ["deepseek_tokens.json"], report) { () throws(ParityError) in
            try text.addedTokens(tokenizer: loadTokenizer(tokenizer), name: name)
        }
    }

    private func loadTokenizer(_ path: FilePath) throws(ParityError) -> Tokenizer {
        do throws(InferenceError) {
            return try Tokenizer(contentsOf: path)
        } catch {
            throw ParityError("\(error)")
        }
    }
}
