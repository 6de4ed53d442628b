import Rendering
import Testing

@Suite struct `The first bytes of a file` {
    @Test func `say what is read`() {
        #expect(DocumentKind.sniff(Array("%PDF-1.7".utf8)) == .readable(.pdf))
        #expect(DocumentKind.sniff(Array(repeating: 0, count: 1000) + Array("%PDF-1.7".utf8)) == .readable(.pdf))
        #expect(DocumentKind.sniff(Array(repeating: 0, count: 1020) + Array("%PDF-1.7".utf8)) == .unknown)
        for head: [UInt8] in [[0x49, 0x49, 42, 0], [0x4D, 0x4D, 0, 42], [0x49, 0x49, 43, 0], [0x4D, 0x4D, 0, 43]] {
            #expect(DocumentKind.sniff(head) == .readable(.tiff))
        }
        #expect(DocumentKind.sniff([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) == .readable(.png))
        #expect(DocumentKind.sniff([0xFF, 0xD8, 0xFF, 0xE1]) == .readable(.jpeg))
    }

    @Test func `name what is not read, and the reason says what to do`() throws {
        let webp = DocumentKind.sniff(Array("RIFF\0\0\0\0WEBPVP8 ".utf8))
        #expect(webp == .unsupported(name: "a WebP image"))
        #expect(try #require(webp.reason).contains("convert"))
        #expect(DocumentKind.sniff([0, 0, 0, 12] + Array("jP  \r\n".utf8)) == .unsupported(name: "a JPEG 2000 image"))
        #expect(DocumentKind.sniff(Array("AT&TFORM".utf8)) == .unsupported(name: "a DjVu document"))
        #expect(DocumentKind.sniff([]) == .empty)
        #expect(DocumentKind.sniff([1, 2, 3]) == .unknown)
        #expect(DocumentKind.readable(.pdf).reason == nil)
    }

    private static let pdf = "%PDF-1.4\n1 0 obj\n<</Type /Catalog>>\nendobj\n"
    private static let marked = Array("%PDF-1.4\n%".utf8) + [0xE2, 0xE3, 0xCF, 0xD3] + Array("\n1 0 obj\n<<>>\n".utf8)

    @Test(arguments: [
        "# On PDF\nEvery PDF file begins with %PDF-1.4 or so.\n",
        "<p>The header is <code>%PDF-1.7</code>, then <code>1 0 obj</code></p>",
        "let magic = Array(\"%PDF-\".utf8)\n", "kind,magic\npdf,%PDF-1.4\n",
        "#!/bin/sh\ncat <<END\n%PDF-1.4\n1 0 obj\nendobj\nEND\n",
        "# A PDF by hand\n\n%PDF-1.4\n1 0 obj\n<</Type /Catalog>>\nendobj\n",
        "Subject: PDF\n\nDear all,\n%PDF-1.4 is what\n%PDF-1.4\n1 0 obj\nsays.\n",
        "%PDF-1.4 is the first line of an old PDF, as everybody knows.\n", "%PDF- stands at the start of each PDF.\n",
    ])
    func `of a text that mentions a header are no PDF`(text: String) {
        let kind = DocumentKind.sniff(Array(text.utf8))
        if case .readable = kind { Issue.record("\(text) is taken for a document") }
        // Nor is one in Latin-1 that goes on beyond what is looked at.
        let latin1 = Array("Caf".utf8) + [0xE9, 10] + Array(text.utf8) + Array(repeating: 0x20, count: 9000)
        if case .readable = DocumentKind.sniff(latin1) { Issue.record("\(text) in Latin-1 is taken for a document") }
    }

    @Test func `of a PDF behind something else are a PDF`() {
        let pdf = Array(Self.pdf.utf8)
        let heads: [[UInt8]] = [
            [0xEF, 0xBB, 0xBF], Array("\r\n \n".utf8), Array(repeating: 0, count: 128),
            Array("HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\n\r\n".utf8),
            Array("\u{1B}%-12345X@PJL JOB\r\n@PJL ENTER LANGUAGE=PDF\r\n".utf8),
            Array(
                "From: a@b.example\r\nContent-Type: application/pdf;\r\n name=\"a.pdf\"\r\nContent-Transfer-Encoding: binary\r\n\r\n"
                    .utf8),
            [0, 5] + Array("a.pdf".utf8) + Array(repeating: 0, count: 121),
        ]
        for head in heads {
            #expect(DocumentKind.sniff(head + pdf) == .readable(.pdf), "\(String(decoding: head, as: UTF8.self))")
            #expect(DocumentKind.sniff(head + Self.marked) == .readable(.pdf))
        }
        #expect(DocumentKind.sniff(Array("some words\n".utf8) + Self.marked) == .readable(.pdf))
        #expect(DocumentKind.sniff(Array("%!PS-Adobe-3.0 PDF-1.4\n".utf8)) == .readable(.pdf))
        #expect(DocumentKind.sniff(Array("%PDF-1.4%".utf8) + [0xE2, 0xE3, 0xCF, 0xD3]) == .readable(.pdf))
        #expect(DocumentKind.sniff(Array("%PDF-1.4 \r1 0 obj<<>>endobj".utf8)) == .readable(.pdf))
    }

    @Test func `of an archive that holds a PDF are the archive's`() {
        let entry = [0x50, 0x4B, 3, 4] + Array(repeating: UInt8(0), count: 40) + Self.marked
        #expect(DocumentKind.sniff(entry) == .unsupported(name: "a ZIP archive or an Office document"))
    }

    @Test func `of a text are no picture, whatever its letters`() {
        for text in ["BMW builds cars.", "GIF89 is a format.", "II*, he wrote", "MM* too", "Rar! cried she", "8BPS"] {
            #expect(DocumentKind.sniff(Array(text.utf8)) == .unknown, "\(text)")
        }
        #expect(DocumentKind.sniff(Array("BM".utf8) + [54, 0, 0, 0, 0, 0, 0, 0]) == .unsupported(name: "a BMP image"))
        #expect(DocumentKind.sniff(Array("GIF89a".utf8) + [1, 0, 1, 0]) == .unsupported(name: "a GIF image"))
    }
}
