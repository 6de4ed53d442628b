import Glibc
import Rendering
import SystemPackage

/// The documents in folders, by path.
struct DocumentFolder {
    struct Document {
        let file: FilePath
        /// As it is shown.
        let name: String
        let summary: DocumentSummary
    }

    private(set) var documents: [Document] = []
    /// How many files are none, or cannot be read.
    private(set) var othersCount = 0

    /// Looks at every file below the folders that are there.
    init(_ folders: [String], renderer: PageRenderer) async {
        let inspector = DocumentInspector(renderer)
        for folder in folders {
            for file in Self.files(in: FilePath(folder)) {
                do throws(RenderError) {
                    let summary = try await inspector.inspect(file)
                    documents.append(Document(file: file, name: file.lastComponent?.string ?? "", summary: summary))
                } catch {
                    othersCount += 1
                }
            }
        }
    }

    private static func files(in folder: FilePath) -> [FilePath] {
        guard let list = folder.withPlatformString({ opendir($0) }) else { return [] }
        defer { closedir(list) }
        var found: [FilePath] = []
        while let entry = readdir(list) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard !name.hasPrefix(".") else { continue }
            let path = folder.appending(name)
            if entry.pointee.d_type == UInt8(DT_DIR) {
                found += files(in: path)
            } else if entry.pointee.d_type == UInt8(DT_REG), !name.hasSuffix(".password") {
                found.append(path)
            }
        }
        return found.sorted { $0.string < $1.string }
    }
}
