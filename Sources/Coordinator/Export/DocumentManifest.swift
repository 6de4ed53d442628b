private import FoundationEssentials
internal import Shared
internal import SystemPackage

/// `manifest.json` in a document's folder: what the folder was made of and what was written there.
struct DocumentManifest: Codable, Equatable {
    struct File: Codable, Equatable {
        /// Relative to the document's folder.
        var path: String
        var size: Int
        var sha256: String
    }

    struct Problem: Codable, Equatable {
        var page: Int
        var state: String
        var reason: String
    }

    /// Pages with notes of one code.
    struct Noted: Codable, Equatable {
        var code: String
        var pages: Int
        var firstPage: Int
    }

    /// Names the layout of this file.
    var schema = DocumentManifest.currentSchema
    var root: String
    /// Below the root; bytes that are not UTF-8 are shown as `\xNN`, and `pathHex` tells them.
    var path: String
    var pathHex: String?
    var sha256: String
    var format: DocumentFormat
    var pages = ExportedPages()
    /// Failed and quarantined pages.
    var problems: [Problem] = []
    /// Of the document as a whole; nil where there is none, as in manifests of earlier versions.
    var notes: [PageNote]?
    /// By code; nil where no page has notes.
    var noted: [Noted]?
    /// Equal fingerprints mean equal content; nothing is written again then.
    var fingerprint: String
    /// Everything in the folder but the manifest itself.
    var files: [File] = []

    static let name = "manifest.json"
    private static let currentSchema = "quire-document-1"

    init(location: SourceLocation, sha256: String, format: DocumentFormat, fingerprint: String) {
        root = location.root
        path = location.path.displayText
        pathHex = location.path.hexWhereNeeded
        self.sha256 = sha256
        self.format = format
        self.fingerprint = fingerprint
    }

    /// Counts a page's notes.
    mutating func note(_ notes: [PageNote], page: Int) {
        guard !notes.isEmpty else { return }
        var all = noted ?? []
        for code in Set(notes.map(\.code)).sorted() {
            if let place = all.firstIndex(where: { $0.code == code }) {
                all[place].pages += 1
            } else {
                all.append(Noted(code: code, pages: 1, firstPage: page))
            }
        }
        noted = all
    }

    /// The manifest in a folder; nil if there is none that this program can have written.
    init?(in folder: FilePath) {
        guard let bytes = FolderContents.read(folder.appending(Self.name)),
            let manifest = try? JSONDecoder().decode(DocumentManifest.self, from: Data(bytes)),
            manifest.schema == Self.currentSchema
        else { return nil }
        self = manifest
    }

    func write(in folder: FilePath) throws(ExportError) {
        let path = folder.appending(Self.name)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let bytes = try ExportError.wrap(path, "write") { try Array(encoder.encode(self)) + [UInt8(ascii: "\n")] }
        let file = try OutputFile(path)
        try file.write(bytes)
        _ = try file.finish()
    }

    /// Whether it tells of that file.
    func describes(_ location: SourceLocation) -> Bool {
        root == location.root && path == location.path.displayText && pathHex == location.path.hexWhereNeeded
    }

    /// The file that it tells of.
    var location: SourceLocation { SourceLocation(root: root, path: FilePath(shown: path, hex: pathHex)) }
}
