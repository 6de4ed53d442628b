/// Limits of one document's rendering, from flags, environment and configuration file; nil where none of them says.
package struct RenderSettings: Sendable, Equatable {
    /// The largest page image, in pixels.
    package var maxPixels: Int?
    /// Address space of the rendering process, bytes.
    package var memoryBytes: Int?
    /// For opening a document, and for each page.
    package var seconds: Int?

    /// What each limit may be set to.
    package static let pixelBounds = 1_000_000...1_000_000_000
    package static let memoryBounds = 256 << 20...1 << 40
    package static let secondBounds = 1...86_400

    package init(maxPixels: Int? = nil, memoryBytes: Int? = nil, seconds: Int? = nil) {
        self.maxPixels = maxPixels
        self.memoryBytes = memoryBytes
        self.seconds = seconds
    }

    /// The flags that say the same.
    package var arguments: [String] {
        [("--max-pixels", maxPixels), ("--render-memory", memoryBytes), ("--render-seconds", seconds)]
            .flatMap { name, value in value.map { [name, String($0)] } ?? [] }
    }
}

extension Settings {
    /// The limits of rendering; flags win.
    package func rendering(
        maxPixels: String? = nil, memory: String? = nil, seconds: String? = nil
    ) throws(SettingsError) -> RenderSettings {
        RenderSettings(
            maxPixels: try pixelCount(flag: maxPixels), memoryBytes: try renderMemory(flag: memory),
            seconds: try renderSeconds(flag: seconds))
    }

    /// `64M` is 64 million: pixels are counted by tens.
    private func pixelCount(flag: String?) throws(SettingsError) -> Int? {
        guard let text = flag ?? self["QUIRE_MAX_PIXELS"] else { return nil }
        let unit: Int? =
            switch text.last {
            case "K", "k": 1000
            case "M", "m": 1_000_000
            case "G", "g": 1_000_000_000
            default: nil
            }
        let number = Int(unit == nil ? text[...] : text.dropLast())
        let (pixels, overflow) = (number ?? 0).multipliedReportingOverflow(by: unit ?? 1)
        guard !overflow, RenderSettings.pixelBounds.contains(pixels) else {
            throw SettingsError(
                "\(flag == nil ? "QUIRE_MAX_PIXELS" : "--max-pixels") is '\(text)', which is no number of pixels from 1M to "
                    + "1G: write it like 64M or 64000000.")
        }
        return pixels
    }

    private func renderMemory(flag: String?) throws(SettingsError) -> Int? {
        guard let bytes = try byteCount("QUIRE_RENDER_MEMORY", flag: flag, named: "--render-memory") else { return nil }
        guard RenderSettings.memoryBounds.contains(bytes) else {
            throw SettingsError(
                "\(flag == nil ? "QUIRE_RENDER_MEMORY" : "--render-memory") is \(bytes) bytes: it must be from 256M to "
                    + "1024G.")
        }
        return bytes
    }

    private func renderSeconds(flag: String?) throws(SettingsError) -> Int? {
        guard let text = flag ?? self["QUIRE_RENDER_SECONDS"] else { return nil }
        guard let seconds = Int(text), RenderSettings.secondBounds.contains(seconds) else {
            throw SettingsError(
                "\(flag == nil ? "QUIRE_RENDER_SECONDS" : "--render-seconds") is '\(text)', which is no whole number of "
                    + "seconds from 1 to 86400.")
        }
        return seconds
    }
}
