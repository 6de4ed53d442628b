import Coordinator
import Shared
import SystemPackage
import TestSupport
import Testing

@Suite struct FolderWalkTests {
    /// What a walk finds, by path below the folder; the reason where something is passed over.
    private func walk(_ folder: TemporaryDirectory) -> [String: String] {
        var walk = FolderWalk(folder.path)
        var found: [String: String] = [:]
        while let entry = walk.next() {
            let (path, reason) =
                switch entry {
                case .file(let path, _): (path, "file")
                case .passedOver(let path, let reason), .unreadable(let path, let reason): (path, reason)
                }
            var relative = path
            _ = relative.removePrefix(folder.path)
            found[relative.string] = reason
        }
        return found
    }

    @Test func `hidden files and folders are named, a folder once, and not looked into`() throws {
        let folder = try TemporaryDirectory()
        try folder.makeFolder(".scans/deep")
        try folder.makeFolder("letters")
        for name in [".scans/x.png", ".scans/deep/y.png", ".hidden.pdf", "letters/.z.pdf", "letters/a.pdf"] {
            try folder.makeFile(name)
        }
        let found = walk(folder)
        #expect(Set(found.keys) == [".scans", ".hidden.pdf", "letters/.z.pdf", "letters/a.pdf"])
        #expect(found[".scans"]?.contains("hidden folder") == true && found["letters/a.pdf"] == "file")
        #expect(found[".hidden.pdf"]?.contains("hidden file") == true)
    }

    @Test func `a hidden folder that is named itself is walked through`() throws {
        let folder = try TemporaryDirectory()
        try folder.makeFolder(".scans")
        try folder.makeFile(".scans/x.png")
        var walk = FolderWalk(folder.path.appending(".scans"))
        guard case .file(let path, _)? = walk.next() else {
            Issue.record("there is no file")
            return
        }
        #expect(path.lastComponent == "x.png" && walk.next() == nil)
    }

    @Test func `passwords and truth are silent beside their documents, and named without them`() throws {
        let folder = try TemporaryDirectory()
        for name in [
            "a.pdf", "a.pdf.password", "a.pdf.truth.md", "b.pdf.password", "b.pdf.truth.md", "0.pdf", "0.pdf.password",
            ".password", "z.password", "z",
        ] {
            try folder.makeFile(name)
        }
        let found = walk(folder)
        #expect(
            Set(found.keys) == ["a.pdf", "0.pdf", "z", "b.pdf.password", "b.pdf.truth.md", ".password"], "\(found)")
        #expect(found["b.pdf.password"] == "It belongs to b.pdf, which is not beside it.")
        #expect(found["b.pdf.truth.md"] == "It belongs to b.pdf, which is not beside it.")
        #expect(found[".password"]?.contains("hidden file") == true)
    }
}
