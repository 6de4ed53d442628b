import Coordinator
import Shared
import SystemPackage
import Testing

@Suite struct ExportNamingTests {
    private func folders(_ paths: [FilePath], root: String = "local") -> [[UInt8]] {
        ExportNaming.folders(
            for: paths.map { SourceLocation(root: root, path: $0) },
            in: SourceLocation(root: "local", path: "home/archive")
        ).map(\.bytes)
    }

    private func bytes(_ names: String...) -> [[UInt8]] { names.map { Array($0.utf8) } }

    @Test func `A document keeps its path below the batch's folder`() {
        #expect(
            folders(["home/archive/letters/a.pdf", "home/archive/b.tif"]) == bytes("letters/a.pdf", "b.tif"))
    }

    @Test func `Bytes that are not UTF-8 stay as they are`() {
        let name = Array("home/archive/".utf8) + [0xE9, 0xFF] + Array(".pdf".utf8)
        #expect(folders([FilePath(bytes: name)]) == [[0xE9, 0xFF] + Array(".pdf".utf8)])
    }

    @Test func `No path leads out of the export folder`() {
        let hostile: [FilePath] = [
            "home/archive/../../etc/passwd", "/etc/passwd", "..", "home/archive/./x/../y.pdf", ".", "",
        ]
        for path in folders(hostile) {
            #expect(path.first != UInt8(ascii: "/"))
            let components = path.split(separator: UInt8(ascii: "/"))
            #expect(!components.isEmpty)
            #expect(!components.contains { $0 == Array("..".utf8)[...] || $0 == Array(".".utf8)[...] })
        }
        #expect(Set(folders(hostile)).count == hostile.count)
    }

    @Test func `A document beside the batch's list gets another name`() {
        #expect(folders(["home/archive/batch.json"]) == bytes("batch.json~2"))
    }

    @Test func `Documents that clash are told apart`() {
        // Both are folded to the same name.
        #expect(folders(["home/archive/../a.pdf", "home/archive/__/a.pdf"]) == bytes("__/a.pdf", "__/a.pdf~2"))
    }

    @Test func `No document's folder lies in another's`() {
        #expect(folders(["home/archive/x", "home/archive/x/y.pdf"]) == bytes("x~2", "x/y.pdf"))
    }

    @Test func `A long name is shortened where a number is appended`() {
        let long = String(repeating: "n", count: 255)
        let paths: [FilePath] = [FilePath("home/archive/\(long)"), FilePath("home/archive/\(long)/y.pdf")]
        let first = folders(paths)[0]
        #expect(first.count == 255)
        #expect(first.suffix(2) == Array("~2".utf8)[...])
    }

    @Test func `Names that Quire uses itself are not given to documents`() {
        #expect(folders(["home/archive/.quire-1.new"]) == bytes("_.quire-1.new"))
    }

    @Test func `A batch of one file exports it under its name`() {
        let file = SourceLocation(root: "local", path: "home/archive/a.pdf")
        #expect(ExportNaming.folders(for: [file], in: file).map(\.bytes) == bytes("a.pdf"))
    }

    @Test func `Files of another root lie below that root's name`() {
        #expect(folders(["a.pdf"], root: "nas") == bytes("nas/a.pdf"))
        #expect(folders(["a.pdf"], root: "../x") == bytes(".._x/a.pdf"))
    }

    @Test func `Names that some file system takes for one are told apart everywhere`() {
        #expect(folders(["home/archive/Brief.pdf", "home/archive/brief.pdf"]) == bytes("Brief.pdf", "brief.pdf~2"))
        // One letter, composed and decomposed; a sharp s and two.
        #expect(
            folders(["home/archive/\u{E9}.pdf", "home/archive/e\u{301}.pdf"])[1].suffix(2) == Array("~2".utf8)[...])
        #expect(folders(["home/archive/Stra\u{DF}e", "home/archive/STRASSE"])[1] == Array("STRASSE~2".utf8))
        #expect(folders(["home/archive/a.pdf", "home/archive/a.pdf. "])[1].suffix(2) == Array("~2".utf8)[...])
        #expect(folders(["home/archive/A/x.pdf", "home/archive/a/X.PDF"]) == bytes("A/x.pdf", "a/X.PDF~2"))
        #expect(folders(["home/archive/X", "home/archive/x/y.pdf"]) == bytes("X~2", "x/y.pdf"))
        // A document that bears such a number keeps it.
        #expect(
            folders(["home/archive/A.pdf", "home/archive/a.pdf", "home/archive/A.PDF~2"])
                == bytes("A.pdf", "a.pdf~3", "A.PDF~2"))
        // Names of unknown encoding are compared by their bytes.
        let latin: [FilePath] = [0xE9, 0xC9].map { FilePath(bytes: Array("home/archive/".utf8) + [$0]) }
        #expect(Set(folders(latin)).count == 2)
    }

    @Test func `The list's name and Quire's own are protected, whatever their case`() {
        #expect(folders(["home/archive/Batch.Json"]) == bytes("Batch.Json~2"))
        #expect(folders(["home/archive/batch.json/a.pdf"]) == bytes("_batch.json/a.pdf"))
        #expect(folders(["home/archive/x/batch.json/a.pdf"]) == bytes("x/batch.json/a.pdf"))
        #expect(folders(["home/archive/.Quire-Export"]) == bytes("_.Quire-Export"))
    }

    @Test func `What is left of an export is found wherever the folder was moved`() {
        let (here, there) = (
            ExportNaming.temporaryNames(for: "/a/x.pdf").new, ExportNaming.temporaryNames(for: "/mnt/b/x.pdf").new
        )
        #expect(here.lastComponent == there.lastComponent)
        #expect(here.lastComponent != ExportNaming.temporaryNames(for: "/a/y.pdf").new.lastComponent)
    }

    @Test func `Many documents of one name are told apart`() {
        let names = (0..<300).map { number in
            FilePath(
                "home/archive/"
                    + String(
                        "abcdefghi".enumerated().map {
                            number >> $0.offset & 1 == 1 ? Character($0.element.uppercased()) : $0.element
                        }))
        }
        #expect(Set(folders(names).map { String(decoding: $0, as: UTF8.self).lowercased() }).count == 300)
    }
}
