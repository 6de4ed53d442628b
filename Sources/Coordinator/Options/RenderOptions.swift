package import ArgumentParser
internal import Rendering
package import Shared

/// What drawing one document may use.
package struct RenderOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The largest page image, in pixels; larger pictures are reduced. [$QUIRE_MAX_PIXELS; default: 64M]",
            valueName: "count"))
    package var maxPixels: String?

    @Option(
        help: ArgumentHelp(
            "Memory of the process that draws a document. [$QUIRE_RENDER_MEMORY; default: 2G]", valueName: "size"))
    package var renderMemory: String?

    @Option(
        help: ArgumentHelp(
            "For how long a document may be opened, and each page drawn. [$QUIRE_RENDER_SECONDS; default: 60]",
            valueName: "seconds"))
    package var renderSeconds: String?

    package init() {}

    /// What these options say, and the settings where they say nothing.
    package func resolve(_ settings: Settings) throws(SettingsError) -> RenderSettings {
        try settings.rendering(maxPixels: maxPixels, memory: renderMemory, seconds: renderSeconds)
    }
}

extension RenderLimits {
    init(_ settings: RenderSettings) {
        self.init(
            memoryBytes: settings.memoryBytes, secondsPerPage: settings.seconds.map(Double.init),
            maxPixels: settings.maxPixels)
    }
}
