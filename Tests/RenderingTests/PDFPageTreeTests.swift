import Rendering
import SystemPackage
import TestSupport
import Testing

/// Pages keep their numbers, whatever the page tree says.
@Suite struct `Page trees of PDFs` {
    /// A PDF of objects numbered from 1, each with its dictionary and, where it has one, a stream.
    private func document(_ objects: [(String, String?)], trailer: String = "") -> [UInt8] {
        var out = "%PDF-1.4\n"
        var offsets: [Int] = []
        for (index, (dictionary, stream)) in objects.enumerated() {
            offsets.append(out.utf8.count)
            out += "\(index + 1) 0 obj\n"
            out += stream.map { "<<\(dictionary) /Length \($0.utf8.count)>>\nstream\n\($0)\nendstream" } ?? dictionary
            out += "\nendobj\n"
        }
        let table = out.utf8.count
        out += "xref\n0 \(offsets.count + 1)\n0000000000 65535 f \n"
        for offset in offsets {
            let digits = String(offset)
            out += String(repeating: "0", count: 10 - digits.count) + digits + " 00000 n \n"
        }
        out += "trailer\n<</Size \(offsets.count + 1) /Root 1 0 R \(trailer)>>\nstartxref\n\(table)\n%%EOF\n"
        return Array(out.utf8)
    }

    /// Pages of widths 110, 120, 130, 140 as objects 3, 4, 5, 6, each with a bar of 40 x 20 points.
    private func pages(_ kids: String, count: String, more: [(String, String?)] = []) -> [UInt8] {
        var objects: [(String, String?)] = [
            ("<</Type /Catalog /Pages 2 0 R>>", nil), ("<</Type /Pages /Kids [\(kids)] \(count)>>", nil),
        ]
        for page in 1...4 {
            objects.append(("<</Type /Page /Parent 2 0 R /MediaBox [0 0 \(100 + page * 10) 50] /Contents 7 0 R>>", nil))
        }
        objects.append(("", "10 10 40 20 re f"))
        return document(objects + more)
    }

    /// Widths in points of the pages that are drawn, 0 for those that are not; and the document's summary.
    private func widths(_ bytes: [UInt8]) async throws -> (widths: [Int], summary: DocumentSummary) {
        let folder = try TemporaryDirectory()
        let file = try folder.write(bytes, as: "a.pdf")
        let renderer = try PageRenderer.underTest()
        let summary = try await renderer.inspect(file)
        let widths = await renderer.pages(file, 1...summary.pageCount).map { page in
            guard case .success(let image) = page.result else { return 0 }
            return image.darkPixels == 80 * 40 ? image.width / 2 : -1
        }
        return (widths, summary)
    }

    @Test func `what is missing keeps its number`() async throws {
        let (found, _) = try await widths(pages("3 0 R 99 0 R 5 0 R 6 0 R", count: "/Count 4"))
        #expect(found == [110, 0, 130, 140])
        let number = try await widths(pages("3 0 R 4 0 R 7 5 0 R 6 0 R", count: "/Count 4"))
        #expect(number.widths.contains(0))
        let null = try await widths(pages("null 4 0 R 5 0 R", count: "/Count 3"))
        #expect(null.widths == [0, 120, 130])
    }

    @Test func `one missing branch stands for the pages that it held`() async throws {
        let (found, _) = try await widths(pages("3 0 R 99 0 R 6 0 R", count: "/Count 4"))
        #expect(found == [110, 0, 0, 140])
    }

    @Test(arguments: ["/Count 2", "/Count 9", "/Count 0", "/Count -1", "/Count (four)", ""])
    func `a wrong number of pages is told, and all are read`(count: String) async throws {
        let (found, summary) = try await widths(pages("3 0 R 4 0 R 5 0 R 6 0 R", count: count))
        #expect(found == [110, 120, 130, 140])
        #expect(summary.notes.map(\.code).contains(.pageCount))
    }

    @Test func `a page within its parent, a branch within itself and attributes from above are read`() async throws {
        let inlined = try await widths(
            pages(
                "3 0 R <</Type /Page /Parent 2 0 R /MediaBox [0 0 150 50] /Contents 7 0 R>> 4 0 R", count: "/Count 3"))
        #expect(inlined.widths == [110, 150, 120])
        let looped = try await widths(
            pages(
                "3 0 R 8 0 R 6 0 R", count: "/Count 2",
                more: [
                    ("<</Type /Pages /Parent 2 0 R /Count 2 /MediaBox [0 0 170 50] /Kids [8 0 R 9 0 R]>>", nil),
                    ("<</Type /Page /Parent 8 0 R /Contents 7 0 R>>", nil),
                ]))
        #expect(looped.widths == [110, 170, 140])
    }

    @Test func `a sound tree has no notes`() async throws {
        let (found, summary) = try await widths(pages("3 0 R 4 0 R 5 0 R 6 0 R", count: "/Count 4"))
        #expect(found == [110, 120, 130, 140])
        #expect(summary.notes.isEmpty)
    }

    @Test func `files that are attached are named`() async throws {
        let specification =
            "<</Type /Filespec /F (letter \\(1\\).pdf) /UF <FEFF004200720069006500660020263A> /EF <</F 5 0 R>>>>"
        let objects: [(String, String?)] = [
            ("<</Type /Catalog /Pages 2 0 R /Names <</EmbeddedFiles <</Names [(a) 4 0 R]>>>>>>", nil),
            ("<</Type /Pages /Kids [3 0 R] /Count 1>>", nil),
            (
                "<</Type /Page /Parent 2 0 R /MediaBox [0 0 100 50] /Contents 6 0 R /Annots "
                    + "[<</Type /Annot /Subtype /FileAttachment /Rect [0 0 9 9] /FS <</F (plan.dwg) /EF <</F 5 0 R>>>>>>]>>",
                nil
            ),
            (specification, nil), ("/Type /EmbeddedFile", "bytes"), ("", "10 10 40 20 re f"),
        ]
        let folder = try TemporaryDirectory()
        let summary = try await PageRenderer.underTest().inspect(try folder.write(document(objects), as: "a.pdf"))
        #expect(summary.notes.map(\.code) == [.attachments])
        let text = summary.notes.first?.text ?? ""
        #expect(text.contains("Brief ☺") && text.contains("plan.dwg"))
    }

    @Test(arguments: [("Adobe.PubSec", "certificates"), ("FOPN_foweb", "rights management")])
    func `encryption that no password opens asks for none`(handler: String, words: String) async throws {
        let objects: [(String, String?)] = [
            ("<</Type /Catalog /Pages 2 0 R>>", nil), ("<</Type /Pages /Kids [3 0 R] /Count 1>>", nil),
            ("<</Type /Page /Parent 2 0 R /MediaBox [0 0 100 50]>>", nil),
            ("<</Filter /\(handler) /V 4 /SubFilter /adbe.pkcs7.s5>>", nil),
        ]
        let folder = try TemporaryDirectory()
        let bytes = document(objects, trailer: "/Encrypt 4 0 R /ID [<00> <00>]")
        let error = try await PageRenderer.underTest().failure(try folder.write(bytes, as: "a.pdf"))
        #expect(error.kind == .unsupported)
        #expect(error.message.contains(words) && error.message.contains("no password can"))
    }
}
