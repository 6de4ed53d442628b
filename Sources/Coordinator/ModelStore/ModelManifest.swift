private import FoundationEssentials
private import Glibc
internal import Shared
package import SystemPackage

/// `quire-model.json`: where a model directory's files came from and what they hold.
package struct ModelManifest: Codable, Sendable, Equatable {
    package struct File: Codable, Sendable, Equatable {
        package var name: String
        package var size: Int64
        /// 64 hexadecimal digits.
        package var sha256: String

        package init(name: String, size: Int64, sha256: String) {
            self.name = name
            self.size = size
            self.sha256 = sha256
        }
    }

    package static let fileName = "quire-model.json"
    /// The manifest to come, while files change: a loader refuses a directory that has it.
    package static let unfinishedName = ModelDigest.unfinishedName

    package var endpoint: String
    package var repository: String
    /// What was asked for: a branch, a tag or a commit.
    package var revision: String
    /// The commit that the files are of; nil where the server did not say, or an older Quire pulled them.
    package var commit: String?
    package var files: [File]

    package init(
        endpoint: String, repository: String, revision: String, commit: String? = nil, files: [File]
    ) {
        self.endpoint = endpoint
        self.repository = repository
        self.revision = revision
        self.commit = commit
        self.files = files
    }

    /// The revision and its commit, for people.
    package var revisionText: String {
        guard let commit, commit != revision else { return revision }
        return "\(revision), commit \(commit)"
    }

    /// Reads a directory's manifest, or the one to come; nil where there is none.
    ///
    /// - Throws: `unusableFile`.
    package static func read(
        _ directory: FilePath, name: String = fileName
    ) throws(ModelStoreError) -> ModelManifest? {
        let path = directory.appending(name)
        guard path.withPlatformString({ access($0, F_OK) }) == 0 else { return nil }
        do {
            let manifest = try JSONDecoder().decode(
                ModelManifest.self, from: Data(contentsOf: URL(filePath: path.string)))
            if let odd = manifest.files.first(where: { $0.name.isEmpty || $0.name.contains("/") || $0.name == ".." }) {
                throw ModelStoreError.unusableFile(
                    path, reason: "it names \(odd.name.debugDescription), which is no file name")
            }
            return manifest
        } catch let error as ModelStoreError {
            throw error
        } catch {
            throw .unusableFile(path, reason: "it is not a list of a model's files: \(error)")
        }
    }

    /// Writes the manifest, replacing an older one at once.
    ///
    /// - Throws: `unusableFile`.
    package func write(to directory: FilePath) throws(ModelStoreError) {
        let path = directory.appending(Self.fileName)
        do {
            try Data(encoded()).write(to: URL(filePath: path.string), options: .atomic)
        } catch {
            throw .unusableFile(path, reason: "it cannot be written: \(error)")
        }
    }

    /// The manifest as its file has it.
    func encoded() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return try Array(encoder.encode(self)) + [UInt8(ascii: "\n")]
    }
}
