package import ArgumentParser
package import Inference
internal import Shared
internal import SystemPackage

extension Precision: ExpressibleByArgument {}

/// What decides how pages are recognised.
package struct PipelineOptions: ParsableArguments {
    @Option(
        help: """
            The model directory, in Hugging Face's layout. [$QUIRE_MODEL; default: the pulled weights, else the small \
            checkpoint models/quire-nano]
            """,
        completion: .directory)
    package var model: String?

    @Option(
        help: """
            Resolution mode: tiny, small, base, large, gundam or gundam-m. [default: the model's own, gundam for the \
            published weights]
            """)
    package var mode: Mode?

    @Option(help: "What the model is asked, with <image> where the page goes. [default: the model's own]")
    package var prompt: String?

    @Option(help: "The most tokens that a page may have. [default: the model's own]")
    package var maxTokens: Int?

    @Option(
        help: """
            What the model's weights are rounded to: f32, bf16 or int8; only workers of this precision do the pages. \
            [$QUIRE_PRECISION; default: bf16]
            """)
    package var precision: Precision?

    @Option(help: "Dots an inch at which PDF pages are drawn; scans in PDF keep their own.")
    package var dpi = 144

    package init() {}

    /// A resolution mode by the name that the model's paper has.
    package struct Mode: ExpressibleByArgument, Sendable {
        package let name: String

        package init?(argument: String) {
            guard let mode = ResolutionMode(rawValue: argument.lowercased()) else { return nil }
            name = mode.rawValue
        }

        package static var allValueStrings: [String] { ResolutionMode.allCases.map(\.rawValue) }
    }

    package mutating func validate() throws {
        if let maxTokens, maxTokens < 1 { throw ValidationError("--max-tokens must be at least 1.") }
        guard (36...1200).contains(dpi) else { throw ValidationError("--dpi must be from 36 to 1200.") }
        if let prompt { try Self.check(prompt: prompt) }
    }

    /// Throws unless the prompt says where the page goes.
    static func check(prompt: String) throws(ValidationError) {
        guard prompt.split(separator: Prompt.placeholder, omittingEmptySubsequences: false).count == 2 else {
            throw ValidationError("--prompt must hold \(Prompt.placeholder) once: that is where the page goes.")
        }
    }

    /// The model's directory, and the pipeline that follows from its defaults and these options.
    func resolve(_ settings: Settings) async throws -> (model: FilePath, pipeline: Pipeline) {
        let precision = try precision(settings)
        let directory = try ModelLocation.find(flag: model, settings: settings)
        let configuration = try ModelConfiguration(contentsOf: directory.appending("config.json"))
        let defaults = try ModelDefaults(directory: directory)
        let digest = try await ModelDigest.compute(directory: directory)
        let pipeline = Pipeline(
            modelDigest: digest, mode: mode?.name ?? defaults.mode.rawValue, prompt: prompt ?? defaults.prompt,
            maxNewTokens: maxTokens ?? defaults.maxNewTokens ?? configuration.decoder.maxPositions, pdfDPI: dpi,
            precision: precision.rawValue)
        return (directory, pipeline)
    }

    /// What the option or the settings say, so that a misspelt name ends the command and not its workers.
    func precision(_ settings: Settings) throws(CommandFailure) -> Precision {
        if let precision { return precision }
        guard let name = settings["QUIRE_PRECISION"] else { return .bfloat16 }
        guard let precision = Precision(rawValue: name) else {
            throw CommandFailure(
                .usage, "QUIRE_PRECISION is '\(name)', which is no precision: use f32, bf16 or int8.")
        }
        return precision
    }
}
