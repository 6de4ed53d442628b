internal import Shared
internal import SystemPackage

/// `images/` of a document, made with its first figure.
struct FigureFolder {
    static let name = "images"

    private let path: FilePath
    private var exists = false
    private(set) var files: [DocumentManifest.File] = []

    init(_ path: FilePath) { self.path = path }

    /// Writes a page's figures; returns their paths relative to the document's folder.
    mutating func write(_ figures: [Figure], page: Int) throws(ExportError) -> [String] {
        var links: [String] = []
        for (index, figure) in figures.enumerated() {
            if !exists {
                try FolderContents.makeFolder(path)
                exists = true
            }
            var name = Self.isPlain(figure.name) ? figure.name : "p\(page)-\(index).jpg"
            if case .absent = FolderContents.kind(of: path.appending(name)) {
            } else {
                name = "page\(page)-\(name)"
            }
            let file = try OutputFile(path.appending(name))
            try file.write(figure.jpeg)
            let (size, sha256) = try file.finish()
            links.append("\(Self.name)/\(name)")
            files.append(DocumentManifest.File(path: "\(Self.name)/\(name)", size: size, sha256: sha256))
        }
        return links
    }

    /// Whether the name is one of a file in this folder, whatever wrote it into the database.
    private static func isPlain(_ name: String) -> Bool {
        (1...200).contains(name.utf8.count) && !name.hasPrefix(".")
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                    true
                default: false
                }
            }
    }
}
