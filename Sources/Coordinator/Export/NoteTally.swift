internal import Shared
package import SystemPackage

/// How many pages and documents have notes, by code.
package struct NoteTally: Sendable, Hashable {
    package struct Entry: Sendable, Hashable {
        /// A page with several notes of the code counts once.
        package var pages = 0
        /// Documents that have it as a whole.
        package var documents = 0
        /// The first of them; `page` is nil for a document.
        package var path: FilePath
        package var page: Int?
    }

    package private(set) var entries: [String: Entry] = [:]

    package init() {}

    package var isEmpty: Bool { entries.isEmpty }

    /// The commonest first.
    package var sorted: [(code: String, entry: Entry)] {
        entries.sorted { left, right in
            let (more, less) = (left.value.pages + left.value.documents, right.value.pages + right.value.documents)
            return (less, left.key) < (more, right.key)
        }.map { ($0.key, $0.value) }
    }

    /// Adds pages of a document, of which `first` is the first, or the document itself where there is none.
    package mutating func add(_ code: String, pages: Int, first: Int?, of path: FilePath) {
        var entry = entries[code] ?? Entry(path: path, page: first)
        if first == nil { entry.documents += 1 } else { entry.pages += pages }
        entries[code] = entry
    }

    /// Adds what a document's manifest tells.
    mutating func add(_ manifest: DocumentManifest, of path: FilePath) {
        for noted in manifest.noted ?? [] { add(noted.code, pages: noted.pages, first: noted.firstPage, of: path) }
        for code in Set((manifest.notes ?? []).map(\.code)).sorted() { add(code, pages: 0, first: nil, of: path) }
    }

    /// Pages and documents together, by code.
    var json: JSONText {
        .object(entries.sorted { $0.key < $1.key }.map { ($0.key, .int($0.value.pages + $0.value.documents)) })
    }
}
