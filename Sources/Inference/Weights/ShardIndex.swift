import SystemPackage

/// `model.safetensors.index.json`: which file holds which tensor.
///
/// File names are taken from here and never constructed: the released one is oddly numbered.
struct ShardIndex {
    /// File names by tensor name.
    let files: [String: String]

    /// Each file once, sorted.
    var fileNames: [String] { Set(files.values).sorted() }

    /// Reads the index.
    ///
    /// - Throws: `unreadableFile`, or `badConfiguration` for a broken index or a file name that leaves the directory.
    init(contentsOf path: FilePath) throws(InferenceError) {
        let bytes = try MappedFile(path).bytes()
        let document: JSONValue
        do {
            document = try JSONValue(parsing: bytes)
        } catch {
            throw .badConfiguration(path, reason: "it is \(error)")
        }
        guard let members = document["weight_map"]?.members else {
            throw .badConfiguration(path, reason: "it has no weight_map")
        }
        var files: [String: String] = [:]
        for member in members {
            guard let file = member.value.text else {
                throw .badConfiguration(path, reason: "\(member.key) is not given a file name")
            }
            guard !file.isEmpty, !file.contains("/"), !file.contains("\0"), file != ".", file != ".." else {
                throw .badConfiguration(
                    path, reason: "\(member.key) is said to be in \"\(file)\", which is no file name")
            }
            guard files.updateValue(file, forKey: member.key) == nil else {
                throw .badConfiguration(path, reason: "\(member.key) is named twice")
            }
        }
        self.files = files
    }
}
