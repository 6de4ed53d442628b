import Shared
import SystemPackage
import TestSupport
import Testing

@Suite struct SettingsTests {
    private func settings(_ variables: [String: String] = [:]) throws -> Settings {
        try Settings(environment: variables)
    }

    @Test(arguments: [
        ("12G", 12 << 30), ("12g", 12 << 30), ("800M", 800 << 20), ("64K", 64 << 10), ("2T", 2 << 40), ("12345", 12345),
    ])
    func `amounts of memory are bytes or have a unit`(text: String, bytes: Int) throws {
        #expect(try settings(["QUIRE_MEMORY": text]).byteCount("QUIRE_MEMORY") == bytes)
        #expect(try settings(["QUIRE_MEMORY": "1"]).byteCount("QUIRE_MEMORY", flag: text) == bytes, "the flag wins")
    }

    @Test(arguments: [
        "", "G", "0", "-1G", "12GB", "1.5G", "12 G", "lots", "12ß", "9999999999T", "99999999999999999999",
    ])
    func `what is no amount of memory is named with the flag it came from`(text: String) throws {
        let settings = try settings()
        let error = #expect(throws: SettingsError.self) { try settings.byteCount("QUIRE_MEMORY", flag: text) }
        #expect(error?.description.contains("--memory is '\(text)'") == true)
        #expect(error?.description.contains("12G") == true, "it says how to write it")
    }

    @Test func `an unset amount is nil, and a wrong one in the environment is named so`() throws {
        #expect(try settings().byteCount("QUIRE_MEMORY") == nil)
        #expect(try settings(["QUIRE_MEMORY": ""]).byteCount("QUIRE_MEMORY") == nil)
        let settings = try settings(["QUIRE_MEMORY": "lots"])
        let error = #expect(throws: SettingsError.self) { try settings.byteCount("QUIRE_MEMORY") }
        #expect(error?.description.hasPrefix("QUIRE_MEMORY is 'lots'") == true)
    }

    @Test func `the file gives device, precision and memory, the environment wins`() throws {
        let directory = try TemporaryDirectory()
        let text = #"{"device": "all", "precision": "int8", "memory": "24G", "threads": 3}"#
        try directory.makeFile("config.json", Array(text.utf8))
        let file = directory.path.appending("config.json").string
        let settings = try settings(["QUIRE_CONFIG": file, "QUIRE_PRECISION": "f32"])
        #expect(settings["QUIRE_PRECISION"] == "f32")
        #expect(settings["QUIRE_DEVICE"] == "all")
        #expect(try settings.byteCount("QUIRE_MEMORY") == 24 << 30)
        #expect(try settings.number("QUIRE_THREADS") == 3)
    }

    @Test(arguments: [("64M", 64_000_000), ("64000000", 64_000_000), ("1000k", 1_000_000), ("1g", 1_000_000_000)])
    func `pixels are counted by tens`(text: String, count: Int) throws {
        #expect(try settings(["QUIRE_MAX_PIXELS": text]).rendering().maxPixels == count)
        #expect(try settings(["QUIRE_MAX_PIXELS": "2M"]).rendering(maxPixels: text).maxPixels == count, "the flag wins")
    }

    @Test(arguments: ["", "M", "0", "-64M", "999999", "2G", "64 M", "64.5M", "many", "99999999999999999999G"])
    func `what is no number of pixels is named with where it came from`(text: String) throws {
        let flag = #expect(throws: SettingsError.self) { try settings().rendering(maxPixels: text) }
        #expect(flag?.description.contains("--max-pixels is '\(text)'") == true)
        #expect(flag?.description.contains("64M") == true, "it says how to write it")
        guard !text.isEmpty else { return }
        let variable = try settings(["QUIRE_MAX_PIXELS": text])
        let error = #expect(throws: SettingsError.self) { try variable.rendering() }
        #expect(error?.description.hasPrefix("QUIRE_MAX_PIXELS is") == true)
    }

    @Test func `memory and seconds of rendering have bounds that are told`() throws {
        let settings = try settings(["QUIRE_RENDER_MEMORY": "3G", "QUIRE_RENDER_SECONDS": "90"])
        #expect(try settings.rendering() == RenderSettings(memoryBytes: 3 << 30, seconds: 90))
        #expect(try settings.rendering(memory: "512M", seconds: "1").seconds == 1)
        for text in ["255M", "2000G", "2GB", "0"] {
            let error = #expect(throws: SettingsError.self) { try settings.rendering(memory: text) }
            #expect(error?.description.hasPrefix("--render-memory is") == true, "\(text)")
        }
        for text in ["0", "86401", "1m", "1.5"] {
            let error = #expect(throws: SettingsError.self) { try settings.rendering(seconds: text) }
            #expect(error?.description.contains("--render-seconds is '\(text)'") == true)
        }
    }

    @Test func `the file gives the limits of rendering, and flags for other programs say the same`() throws {
        let directory = try TemporaryDirectory()
        for pixels in ["32000000", "\"32M\""] {
            let text = "{\"maxPixels\": \(pixels), \"renderMemory\": \"1G\", \"renderSeconds\": 20}"
            try directory.makeFile("config.json", Array(text.utf8))
            let settings = try settings(["QUIRE_CONFIG": directory.path.appending("config.json").string])
            let rendering = try settings.rendering()
            #expect(rendering == RenderSettings(maxPixels: 32_000_000, memoryBytes: 1 << 30, seconds: 20))
            #expect(
                rendering.arguments == [
                    "--max-pixels", "32000000", "--render-memory", "1073741824", "--render-seconds", "20",
                ])
        }
        #expect(try settings().rendering() == RenderSettings())
        #expect(RenderSettings().arguments.isEmpty)
    }
}
