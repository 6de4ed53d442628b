private import Digest
package import Shared
package import SystemPackage

/// Where in the export folder each document goes: a pure function of the documents' places.
package enum ExportNaming {
    /// The folder of each file, relative to the export folder, in the order of `files`.
    ///
    /// A document keeps its path below the batch's folder, byte for byte. No name leads out of the export folder, no
    /// folder lies within another document's, and of two that clash the later one gets `~2`, `~3`, ... appended.
    package static func folders(for files: [SourceLocation], in source: SourceLocation) -> [FilePath] {
        let preferred = files.map { components(of: $0, in: source) }
        // Folders that documents lie in cannot be documents themselves.
        var ancestors: Set<[UInt8]> = []
        for components in preferred {
            for depth in 1..<max(1, components.count) { ancestors.insert(joined(components.prefix(depth))) }
        }
        var taken: Set<[UInt8]> = [Array(batchFile.utf8)]
        return preferred.map { components in
            var number = 1
            var candidate = joined(components[...])
            while ancestors.contains(candidate) || !taken.insert(candidate).inserted {
                number += 1
                let name = components.last ?? []
                let suffix = Array("~\(number)".utf8)
                candidate = joined(components.dropLast() + [name.prefix(longestName - suffix.count) + suffix])
            }
            return FilePath(bytes: candidate)
        }
    }

    /// The list of the whole batch, in the export folder itself.
    static let batchFile = "batch.json"
    /// Names that begin so are Quire's own while it writes.
    private static let ownPrefix = Array(".quire-".utf8)
    /// Bytes that Linux allows in one name.
    private static let longestName = 255

    /// Where a document's folder is made before it takes its place, and where the old one goes meanwhile.
    package static func temporaryNames(for folder: FilePath) -> (new: FilePath, old: FilePath) {
        let parent = folder.removingLastComponent()
        let digest = SHA256.hash(folder.bytes).hex.prefix(24)
        return (parent.appending(".quire-\(digest).new"), parent.appending(".quire-\(digest).old"))
    }

    private static func components(of file: SourceLocation, in source: SourceLocation) -> [[UInt8]] {
        let all = file.path.bytes.split(separator: UInt8(ascii: "/"))
        let path =
            file == source ? Array(all.suffix(1)) : file.path(below: source).bytes.split(separator: UInt8(ascii: "/"))
        var components: [[UInt8]] = file.root == source.root ? [] : [named(file.root)]
        components += path.filter { $0 != [UInt8(ascii: ".")] }.map { safe(Array($0)) }
        return components.isEmpty ? [Array("document".utf8)] : components
    }

    private static func named(_ root: String) -> [UInt8] {
        let name = root.utf8.map { $0 == UInt8(ascii: "/") || $0 == 0 ? UInt8(ascii: "_") : $0 }
        return name.isEmpty || name == [UInt8(ascii: ".")] ? [UInt8(ascii: "_")] : safe(Array(name.prefix(longestName)))
    }

    private static func safe(_ name: [UInt8]) -> [UInt8] {
        if name == Array("..".utf8) { return Array("__".utf8) }
        return name.starts(with: ownPrefix) ? [UInt8(ascii: "_")] + name.prefix(longestName - 1) : name
    }

    private static func joined(_ components: ArraySlice<[UInt8]>) -> [UInt8] {
        Array(components.joined(separator: [UInt8(ascii: "/")]))
    }
}
