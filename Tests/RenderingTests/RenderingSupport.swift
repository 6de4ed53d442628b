import Digest
import Glibc
import Rendering
import SystemPackage
import Testing

enum Fixture {
    static let folder = FilePath(#filePath).removingLastComponent().appending("Fixtures")

    static func path(_ name: String) -> FilePath { folder.appending(name) }

    static func bytes(_ name: String) throws -> [UInt8] { try readAll(path(name)) }

    static func readAll(_ file: FilePath) throws -> [UInt8] {
        let descriptor = try FileDescriptor.open(file, .readOnly)
        return try descriptor.closeAfter {
            var bytes: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = try buffer.withUnsafeMutableBytes { try descriptor.read(into: $0) }
                if count == 0 { return bytes }
                bytes += buffer.prefix(count)
            }
        }
    }
}

/// A PDF written by hand: pages with a content stream each, and objects that they share.
struct HandmadePDF {
    struct Page {
        var mediaBox: [Int]
        var more = ""
        var content = ""
    }

    var pages: [Page]
    /// Entries of the resource dictionary that all pages share.
    var resources = ""
    /// Further objects, numbered from 3: dictionary and stream.
    var objects: [(dictionary: String, stream: [UInt8])] = []

    var bytes: [UInt8] {
        var out = Array("%PDF-1.4\n".utf8)
        var offsets: [Int] = []
        func add(_ dictionary: String, _ stream: [UInt8]?) {
            offsets.append(out.count)
            out += Array("\(offsets.count) 0 obj\n".utf8)
            if let stream {
                out += Array("<<\(dictionary) /Length \(stream.count)>>\nstream\n".utf8) + stream
                out += Array("\nendstream\nendobj\n".utf8)
            } else {
                out += Array("<<\(dictionary)>>\nendobj\n".utf8)
            }
        }
        let firstPage = 3 + objects.count
        add("/Type /Catalog /Pages 2 0 R", nil)
        let kids = pages.indices.map { "\(firstPage + 2 * $0) 0 R" }.joined(separator: " ")
        add("/Type /Pages /Count \(pages.count) /Kids [\(kids)]", nil)
        for object in objects { add(object.dictionary, object.stream) }
        for (index, page) in pages.enumerated() {
            let box = page.mediaBox.map { "\($0)" }.joined(separator: " ")
            add(
                "/Type /Page /Parent 2 0 R /MediaBox [\(box)] \(page.more) /Resources <<\(resources)>> "
                    + "/Contents \(firstPage + 2 * index + 1) 0 R", nil)
            add("", Array(page.content.utf8))
        }
        let table = out.count
        out += Array("xref\n0 \(offsets.count + 1)\n0000000000 65535 f \n".utf8)
        for offset in offsets {
            let digits = String(offset)
            out += Array((String(repeating: "0", count: 10 - digits.count) + digits + " 00000 n \n").utf8)
        }
        out += Array("trailer\n<</Size \(offsets.count + 1) /Root 1 0 R>>\nstartxref\n\(table)\n%%EOF\n".utf8)
        return out
    }
}

extension PageRenderer {
    /// The program under test: `quire-render` beside the tests.
    static func underTest(_ limits: RenderLimits = RenderLimits()) throws -> PageRenderer {
        try besideThisProgram(limits: limits)
    }

    /// All pages of a range.
    func pages(_ file: FilePath, _ range: ClosedRange<Int> = 1...1, pdfDPI: Int? = nil) async -> [RenderedPage] {
        let session = session(file, pages: range, pdfDPI: pdfDPI)
        var pages: [RenderedPage] = []
        while let page = await session.next() { pages.append(page) }
        return pages
    }

    /// The image of the only page asked for.
    func image(_ file: FilePath, page: Int = 1, pdfDPI: Int? = nil) async throws -> PageImage {
        try #require(await pages(file, page...page, pdfDPI: pdfDPI).first).result.get()
    }

    /// Why the only page asked for has no image.
    func failure(_ file: FilePath, page: Int = 1) async throws -> RenderError {
        switch try #require(await pages(file, page...page).first).result {
        case .success(let image):
            Issue.record("an image of \(image.width) x \(image.height) pixels")
            throw RenderError(.broken, "no failure")
        case .failure(let error): return error
        }
    }
}

extension PageImage {
    func pixel(_ x: Int, _ y: Int) -> [UInt8] { Array(bytes[(y * width + x) * 3..<(y * width + x) * 3 + 3]) }

    var darkPixels: Int { stride(from: 0, to: bytes.count, by: 3).count { bytes[$0] < 128 } }
}

extension RenderedPage {
    var errorKind: RenderError.Kind? {
        guard case .failure(let error) = result else { return nil }
        return error.kind
    }
}
