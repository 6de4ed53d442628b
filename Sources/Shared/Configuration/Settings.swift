private import FoundationEssentials
private import Glibc
package import SystemPackage

/// Settings that both programs read: the environment, completed from the configuration file.
///
/// The file is `$QUIRE_CONFIG`, else `$XDG_CONFIG_HOME/quire/config.json`, else `~/.config/quire/config.json`. Its keys stand
/// for environment variables, which win; flags win over both.
package struct Settings: Sendable {
    /// Environment variables, with what the file adds.
    package let variables: [String: String]

    /// Reads the environment of this process and the file.
    package init() throws(SettingsError) {
        try self.init(environment: ProcessInfo.processInfo.environment)
    }

    /// Reads the file that `environment` leads to, if there is one.
    package init(environment: [String: String]) throws(SettingsError) {
        guard let path = Self.file(environment) else {
            variables = environment
            return
        }
        let explicit = environment["QUIRE_CONFIG"] != nil
        guard explicit || path.withPlatformString({ access($0, F_OK) }) == 0 else {
            variables = environment
            return
        }
        var added = try Self.read(path)
        // A database given by libpq's own variables is given by the environment too.
        if environment.keys.contains(where: { ["PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE"].contains($0) }) {
            added["DATABASE_URL"] = nil
        }
        variables = environment.merging(added) { environment, _ in environment }
    }

    /// A variable that is set and not empty.
    package subscript(_ name: String) -> String? { variables[name].flatMap { $0.isEmpty ? nil : $0 } }

    /// A whole number in a variable.
    package func number(_ name: String) throws(SettingsError) -> Int? {
        guard let text = self[name] else { return nil }
        guard let value = Int(text) else { throw SettingsError("\(name) is '\(text)', which is not a whole number.") }
        return value
    }

    /// An amount of memory in bytes, from a flag or else a variable: `12G`, `800M`, `64K` or plain bytes.
    package func byteCount(
        _ name: String, flag: String? = nil, named flagName: String = "--memory"
    ) throws(SettingsError) -> Int? {
        guard let text = flag ?? self[name] else { return nil }
        let given = flag == nil ? name : flagName
        let unit: Int? =
            switch text.last {
            case "K", "k": 10
            case "M", "m": 20
            case "G", "g": 30
            case "T", "t": 40
            default: nil
            }
        guard let number = Int(unit == nil ? text[...] : text.dropLast()), number > 0, number <= Int.max >> (unit ?? 0)
        else {
            throw SettingsError("\(given) is '\(text)', which is no amount of memory: write it like 12G, 800M or 64K.")
        }
        return number << (unit ?? 0)
    }

    /// Where named roots are mounted here: `QUIRE_ROOTS` is `NAME=/PATH`, several separated by colons.
    package func roots(flags: [String]) throws(SettingsError) -> [String: FilePath] {
        // Without a named root documents are stored by absolute path, under this one.
        var roots: [String: FilePath] = ["local": "/"]
        for text in (self["QUIRE_ROOTS"]?.split(separator: ":").map(String.init) ?? []) + flags {
            let parts = text.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, parts[1].hasPrefix("/") else {
                throw SettingsError("The root '\(text)' is not NAME=/PATH, such as archive=/mnt/nas/archive.")
            }
            roots[String(parts[0])] = FilePath(String(parts[1])).lexicallyNormalized()
        }
        return roots
    }

    /// The database that the variables name.
    package var database: DatabaseSettings { DatabaseSettings(environment: variables) }

    private struct File: Decodable {
        var model: String?
        var data: String?
        var database: String?
        var threads: Int?
        var workers: Int?
        var device: String?
        var precision: String?
        var memory: String?
        var roots: [String: String]?
        var maxPixels: NumberOrText?
        var renderMemory: String?
        var renderSeconds: Int?

        static let keys = [
            "model", "data", "database", "threads", "workers", "device", "precision", "memory", "roots", "maxPixels",
            "renderMemory", "renderSeconds",
        ]
    }

    private static func file(_ environment: [String: String]) -> FilePath? {
        if let path = environment["QUIRE_CONFIG"], !path.isEmpty { return FilePath(path) }
        if let base = environment["XDG_CONFIG_HOME"], !base.isEmpty {
            return FilePath(base).appending("quire/config.json")
        }
        return environment["HOME"].map { FilePath($0).appending(".config/quire/config.json") }
    }

    private static func read(_ path: FilePath) throws(SettingsError) -> [String: String] {
        let file: File
        do {
            let data = try Data(contentsOf: URL(filePath: path.string))
            // A misspelt key that is silently passed over would cost somebody an afternoon.
            let given = try JSONDecoder().decode([String: AnyValue].self, from: data).keys
            if let unknown = given.sorted().first(where: { !File.keys.contains($0) }) {
                throw SettingsError(
                    "\(path): '\(unknown)' is no setting. There are: \(File.keys.joined(separator: ", ")).")
            }
            file = try JSONDecoder().decode(File.self, from: data)
        } catch let error as SettingsError {
            throw error
        } catch {
            throw SettingsError("\(path) cannot be used: \(error)")
        }
        let roots = file.roots?.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ":")
        let values: [String: String?] = [
            "QUIRE_MODEL": file.model, "QUIRE_DATA": file.data, "DATABASE_URL": file.database,
            "QUIRE_THREADS": file.threads.map(String.init), "QUIRE_WORKERS": file.workers.map(String.init),
            "QUIRE_DEVICE": file.device, "QUIRE_PRECISION": file.precision, "QUIRE_MEMORY": file.memory,
            "QUIRE_ROOTS": roots, "QUIRE_MAX_PIXELS": file.maxPixels?.text, "QUIRE_RENDER_MEMORY": file.renderMemory,
            "QUIRE_RENDER_SECONDS": file.renderSeconds.map(String.init),
        ]
        return values.compactMapValues { $0 }
    }

    private struct AnyValue: Decodable {
        init(from decoder: any Decoder) {}
    }

    /// `64000000` or `"64M"`.
    private struct NumberOrText: Decodable {
        let text: String

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            text = try (try? value.decode(Int.self)).map(String.init) ?? value.decode(String.self)
        }
    }
}

/// What is wrong with the environment or the configuration file, in a sentence.
package struct SettingsError: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
