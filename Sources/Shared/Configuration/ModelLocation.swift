private import Glibc
package import SystemPackage

/// Finds the model directory that a program uses when no flag names one.
package enum ModelLocation {
    /// A flag's directory, else `QUIRE_MODEL`, else the pulled weights, else the small checkpoint beside the program.
    ///
    /// - Returns: An absolute path; whether it holds a model is for the loader to say.
    package static func find(flag: String?, settings: Settings) throws(SettingsError) -> FilePath {
        if let named = flag ?? settings["QUIRE_MODEL"] { return absolute(FilePath(named)) }
        let pulled = pulledDirectory(settings)
        // A pull that has only begun: better an error than another model without a word.
        if isModel(pulled) || (try? FolderListing.isEmpty(pulled)) == false { return pulled }
        if let small = smallCheckpoint() { return small }
        throw SettingsError(
            "No model was found. Name one by --model DIR or QUIRE_MODEL, or fetch the published weights: quire model pull"
        )
    }

    /// Where `quire model pull` puts the published weights when it is told no other place.
    package static func pulledDirectory(_ settings: Settings) -> FilePath {
        EmbeddedPostgres.defaultDirectory(environment: settings.variables).appending("models").appending("DeepSeek-OCR")
    }

    /// `models/quire-nano`, in a folder above the program or the working directory.
    private static func smallCheckpoint() -> FilePath? {
        for start in [ProcessIdentity.programDirectory, absolute(".")].compactMap(\.self) {
            var folder = start
            while true {
                let candidate = folder.appending("models/quire-nano")
                if isModel(candidate) { return candidate }
                if !folder.removeLastComponent() { break }
            }
        }
        return nil
    }

    private static func isModel(_ directory: FilePath) -> Bool {
        directory.appending("config.json").withPlatformString { access($0, R_OK) } == 0
    }

    /// `path` seen from the root of the file system.
    package static func absolute(_ path: FilePath) -> FilePath {
        if path.isAbsolute { return path.lexicallyNormalized() }
        guard let current = getcwd(nil, 0) else { return path }
        defer { free(current) }
        return FilePath(platformString: current).pushing(path).lexicallyNormalized()
    }
}
