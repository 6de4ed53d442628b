internal import Digest
private import Dispatch
private import FoundationEssentials
package import SystemPackage

#if canImport(Glibc)
    private import Glibc
#endif

/// What identifies a model: SHA-256 over the digests of its files.
package enum ModelDigest {
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
        var lines: [String] = []
        for name in try fileNames(directory) {
            let digest = try cache.digest(of: directory.appending(name))
            lines.append("\(digest.hex)  \(name)\n")
        }
        cache.save()
        return SHA256.hash(Array(lines.sorted().joined().utf8)).hex
    }

    private static func fileNames(_ directory: FilePath) throws(ModelDigestError) -> [String] {
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
