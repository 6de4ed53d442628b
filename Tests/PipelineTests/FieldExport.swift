import Foundation
import SystemPackage

/// An export as far as the rules of the field files ask: states, sizes, reasons and notes.
struct FieldExport {
    struct File {
        let path: String
        let status: String
        let pages: [Page]
        let documentNotes: [Note]
        /// The manifest's text.
        let manifest: String
        /// All that is said of the file and its pages, one after the other.
        let reasons: String

        var isNoted: Bool { !documentNotes.isEmpty || pages.contains { !$0.notes.isEmpty } }

        /// For messages: what became of it, in a line.
        var summary: String {
            let sizes = pages.prefix(3).compactMap(\.image).map { "\($0.width)x\($0.height)" }
            return ([status] + pages.prefix(6).map(\.state) + sizes).joined(separator: " ") + " " + reasons.prefix(160)
        }
    }

    struct Page: Decodable {
        let page: Int
        let error: String?
        let image: Size?
        private let stored: String
        private let noted: [Note]?

        var notes: [Note] { noted ?? [] }
        /// The smallest checkpoint writes what it likes, and sometimes nothing: the page was drawn all the same.
        private var isDrawn: Bool { error?.contains("the model wrote no text") == true }
        var state: String { isDrawn ? "done" : stored }
        /// Failed with a reason, or done with a note, which a page without text has in its reason.
        var isTold: Bool {
            if isDrawn { return error?.contains("Noted on it:") == true }
            return stored == "failed" && error?.isEmpty == false || stored == "done" && !notes.isEmpty
        }

        private enum CodingKeys: String, CodingKey {
            case page, error, image
            case stored = "state"
            case noted = "notes"
        }
    }

    struct Size: Decodable {
        let width: Int
        let height: Int
    }

    struct Note: Decodable {
        let code: String
        let text: String
    }

    let files: [File]

    init(_ folder: FilePath) throws {
        struct Batch: Decodable {
            struct File: Decodable {
                let path: String
                let status: String
                let folder: String?
                let reason: String?
            }
            let files: [File]
        }
        struct Pages: Decodable { let pages: [Page] }
        struct Manifest: Decodable { let notes: [Note]? }
        func data(_ path: FilePath) throws -> Data { try Data(contentsOf: URL(filePath: path.string)) }
        let decoder = JSONDecoder()
        files = try decoder.decode(Batch.self, from: try data(folder.appending("batch.json"))).files.map { file in
            guard let own = file.folder.map({ folder.appending($0) }) else {
                return File(
                    path: file.path, status: file.status, pages: [], documentNotes: [], manifest: "",
                    reasons: file.reason ?? "")
            }
            let pages = try decoder.decode(Pages.self, from: try data(own.appending("pages.json"))).pages
            let manifest = try data(own.appending("manifest.json"))
            let notes = try decoder.decode(Manifest.self, from: manifest).notes ?? []
            let said =
                [file.reason] + pages.map(\.error) + (notes + pages.flatMap(\.notes)).map { "\($0.code) \($0.text)" }
            return File(
                path: file.path, status: file.status, pages: pages, documentNotes: notes,
                manifest: String(decoding: manifest, as: UTF8.self),
                reasons: said.compactMap(\.self).joined(separator: " "))
        }
    }

    /// The file whose path ends so; rules name files below the folder that was submitted.
    func file(_ path: String) -> File? { files.first { $0.path.hasSuffix("/" + path) } }
}
