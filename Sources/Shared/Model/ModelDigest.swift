internal import Digest
private import Dispatch
private import FoundationEssentials
package import SystemPackage

#if canImport(Glibc)
    private import Glibc
#endif

/// What identifies a model: SHA-256 over the digests of its files.
package enum ModelDigest {
    /// Lies in a directory whose files are being changed, or were when that was cut off.
    package static let unfinishedName = "quire-model.unfinished.json"

    /// The digest of the model in `directory`, 64 hexadecimal digits.
    ///
    /// SHA-256 over sorted lines `hex  name\n` of config.json, tokenizer.json, model.safetensors.index.json where there is
    /// one, and the safetensors files used: what `sha256sum FILES | sort | sha256sum` prints. Digests of files are cached
    /// by path, size and time of modification in `cacheDirectory`; nil stands for `$XDG_CACHE_HOME/quire` or
    /// ~/.cache/quire.
    package static func compute(
        directory: FilePath, cacheDirectory: FilePath? = nil
    ) async throws(ModelDigestError) -> String {
        // Gigabytes are read: not on the cooperative threads.
        let result: Result<String, ModelDigestError> = await withCheckedContinuation { continuation in
            DispatchQueue(label: "quire.model-digest").async {
                do throws(ModelDigestError) {
                    let cache = FileDigestCache(directory: cacheDirectory ?? FileDigestCache.defaultDirectory)
                    continuation.resume(returning: .success(try compute(directory, cache)))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try result.get()
    }

    private static func compute(
        _ directory: FilePath, _ cache: FileDigestCache
    ) throws(ModelDigestError) -> String {
        try refuseUnfinished(directory)
        var lines: [String] = []
        for name in try fileNames(directory) {
            let digest = try cache.digest(of: directory.appending(name))
            lines.append("\(digest.hex)  \(name)\n")
        }
        cache.save()
        return SHA256.hash(Array(lines.sorted().joined().utf8)).hex
    }

    /// The stamps of the model's files by name; equal ones mean that nobody has changed the model between.
    ///
    /// - Throws: `badIndex`, `unreadable`.
    package static func stamps(_ directory: FilePath) throws(ModelDigestError) -> [String: FileStamp] {
        var stamps: [String: FileStamp] = [:]
        for name in try fileNames(directory) {
            let path = directory.appending(name)
            do throws(Errno) {
                stamps[name] = try FileStamp(of: path)
            } catch {
                throw .unreadable(reason: "\(path.displayText) cannot be read: \(error).")
            }
        }
        return stamps
    }

    /// Throws where a change of the directory's files has begun and not ended.
    private static func refuseUnfinished(_ directory: FilePath) throws(ModelDigestError) {
        guard directory.appending(unfinishedName).withPlatformString({ access($0, F_OK) }) == 0 else { return }
        throw .unfinished(directory)
    }

    /// The files that make the model: those that the loader reads, but for `quire.json`.
    ///
    /// - Throws: `badIndex`, `unreadable`.
    package static func fileNames(_ directory: FilePath) throws(ModelDigestError) -> [String] {
        let index = "model.safetensors.index.json"
        guard directory.appending(index).withPlatformString({ access($0, F_OK) }) == 0 else {
            return ["config.json", "tokenizer.json", "model.safetensors"]
        }
        guard let bytes = SmallFile.read(directory.appending(index)) else {
            throw .unreadable(reason: "\(directory.appending(index).displayText) cannot be read.")
        }
        guard let parsed = try? JSONDecoder().decode(WeightIndex.self, from: Data(bytes)) else {
            throw .badIndex(
                reason: "\(directory.appending(index).displayText) is no index of weights. Fetch the model again.")
        }
        let shards = Set(parsed.weightMap.values)
        // Names come from a file that was downloaded: none may lead out of the directory.
        if let odd = shards.first(where: { $0.contains("/") || $0.isEmpty || $0 == ".." }) {
            throw .badIndex(
                reason: "\(directory.appending(index).displayText) names a file outside of its directory: \(odd).")
        }
        return ["config.json", "tokenizer.json", index] + shards.sorted()
    }

    private struct WeightIndex: Decodable {
        var weightMap: [String: String]

        enum CodingKeys: String, CodingKey {
            case weightMap = "weight_map"
        }
    }
}
