internal import Dispatch
internal import Inference
internal import Shared
package import SystemPackage

/// Everything that can be checked of a model directory without running the model.
package struct ModelVerification: Sendable {
    /// What could not be checked or does no harm, a line each.
    package private(set) var notes: [String] = []
    /// What was checked and found right, a line each.
    package private(set) var passed: [String] = []
    /// What is wrong, a sentence each.
    package private(set) var problems: [String] = []

    private let directory: FilePath

    /// Checks a directory, and every value of every tensor where `values` is true.
    ///
    /// Where a `commit` is given, the files must have been pulled of it. Reads the files away from the cooperative
    /// threads.
    package static func run(
        _ directory: FilePath, values: Bool, commit: String? = nil
    ) async -> ModelVerification {
        await withCheckedContinuation { continuation in
            DispatchQueue(label: "quire.model-verification").async {
                var verification = ModelVerification(directory: directory)
                if verification.isFinished() {
                    verification.checkManifest(commit: commit)
                    verification.checkModel(values: values)
                }
                continuation.resume(returning: verification)
            }
        }
    }

    private init(directory: FilePath) { self.directory = directory }

    /// Of a mixture of two models each file would be reported for itself, and nothing would be said of the cause.
    private mutating func isFinished() -> Bool {
        guard MappedFile.exists(directory.appending(ModelManifest.unfinishedName)) else { return true }
        problems.append(ModelDigestError.unfinished(directory).description)
        return false
    }

    private mutating func checkManifest(commit: String?) {
        let manifest: ModelManifest?
        do {
            manifest = try ModelManifest.read(directory)
        } catch {
            problems.append(error.description)
            return
        }
        if let commit, manifest?.commit != commit {
            let found =
                manifest.map { $0.commit.map { "commit \($0)" } ?? "no commit that is known" }
                ?? "nothing that is known"
            problems.append("The files are of \(found), expected commit \(commit).")
        }
        guard let manifest else {
            notes.append("no \(ModelManifest.fileName): the files' digests are not known here and were not compared")
            return
        }
        var right = 0
        for file in manifest.files {
            let path = directory.appending(file.name)
            do {
                let found = try ContentDigest(contentsOf: path, gitBlob: false)
                if found.size != file.size {
                    problems.append("\(path.displayText) has \(found.size) bytes, expected \(file.size).")
                } else if found.sha256 != file.sha256 {
                    problems.append("\(path.displayText) has the SHA-256 \(found.sha256), expected \(file.sha256).")
                } else {
                    right += 1
                }
            } catch {
                problems.append(error.description)
            }
        }
        checkUnlisted(manifest)
        if right == manifest.files.count {
            passed.append("\(right) files have the SHA-256 of \(manifest.repository) (\(manifest.revisionText))")
        }
    }

    /// Files that the loader reads and nobody vouches for.
    private mutating func checkUnlisted(_ manifest: ModelManifest) {
        let listed = Set(manifest.files.map(\.name))
        // What is wrong with an index, or missing, the loader says.
        for name in (try? ModelDigest.fileNames(directory)) ?? [] where !listed.contains(name) {
            let path = directory.appending(name)
            guard MappedFile.exists(path) else { continue }
            problems.append(
                "\(path.displayText) is used, and \(ModelManifest.fileName) does not list it: it was not pulled with the "
                    + "others.")
        }
        if !listed.contains("quire.json"), MappedFile.exists(directory.appending("quire.json")) {
            notes.append("quire.json, the defaults of this directory, was not pulled and is not compared")
        }
    }

    private mutating func checkModel(values: Bool) {
        _ = attempt { directory throws(InferenceError) in try ModelDefaults(directory: directory) }
        let tokenizer = attempt { directory throws(InferenceError) in
            try Tokenizer(contentsOf: directory.appending("tokenizer.json"))
        }
        let configuration = attempt { directory throws(InferenceError) in
            try ModelConfiguration(contentsOf: directory.appending("config.json"))
        }
        guard let configuration else { return }
        if let tokenizer { checkTokenizer(tokenizer, configuration) }
        checkTensors(configuration, values: values)
    }

    private mutating func checkTokenizer(_ tokenizer: Tokenizer, _ configuration: ModelConfiguration) {
        let found = tokenizer.id(of: Prompt.placeholder)
        guard found == configuration.imageToken else {
            problems.append(
                "tokenizer.json has \(found.map { "the id \($0)" } ?? "no id") for \(Prompt.placeholder), but the model "
                    + "expects \(configuration.imageToken): the tokenizer belongs to another model.")
            return
        }
        passed.append(
            "the tokenizer loads, and its \(Prompt.placeholder) is the model's token \(configuration.imageToken)")
    }

    private mutating func checkTensors(_ configuration: ModelConfiguration, values: Bool) {
        let checkpoint: Checkpoint
        do throws(InferenceError) {
            checkpoint = try Checkpoint(directory: directory, configuration: configuration)
        } catch .badTensors(_, let found) {
            problems += found
            return
        } catch {
            problems.append(error.description)
            return
        }
        let names = configuration.expectedTensors.map(\.name)
        passed.append("\(names.count) tensors have the names, shapes and element types that config.json asks for")
        if !checkpoint.unusedNames.isEmpty {
            notes.append(
                "\(checkpoint.unusedNames.count) further tensors are not used, such as \(checkpoint.unusedNames[0])")
        }
        guard values else { return }
        let findings = FiniteScan.findings(names.compactMap { try? checkpoint.tensor($0) })
        for finding in findings {
            problems.append(
                "\(finding.tensor): \(finding.count) values are infinite or no numbers, the first is element \(finding.first)"
            )
        }
        if findings.isEmpty { passed.append("all \(Digits.grouped(checkpoint.parameterCount)) values are finite") }
    }

    private mutating func attempt<Value>(_ body: (FilePath) throws(InferenceError) -> Value) -> Value? {
        do throws(InferenceError) {
            return try body(directory)
        } catch {
            problems.append(error.description)
            return nil
        }
    }
}

/// Whole numbers for people.
package enum Digits {
    /// Such as `3 336 106 240`.
    package static func grouped(_ number: Int) -> String {
        var text = ""
        let digits = Array("\(number.magnitude)")
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text.append(" ") }
            text.append(digit)
        }
        return number < 0 ? "-\(text)" : text
    }
}
