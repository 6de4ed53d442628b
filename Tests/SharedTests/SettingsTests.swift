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
}
