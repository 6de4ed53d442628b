/// A page's text as typed blocks: what is where, and what is written there.
///
/// Unlike the official scripts, every box of every picture has its own link, so links and figures always agree; and a
/// reference that never got its boxes stays as text instead of swallowing what follows. Any text is a layout: nothing
/// is evaluated, and reading takes time in proportion to the text's length.
package struct PageLayout: Sendable, Equatable {
    /// One reference with its boxes, and the text up to the next.
    package struct Block: Sendable, Equatable {
        /// What the model calls it: `title`, `text`, `table`, `image`, ...; `text` for what stands before all references.
        package let label: String
        /// The boxes on the model's grid; empty where the model wrote none that can be read.
        package let gridBoxes: [GridBox]
        /// The same boxes in pixels, with their corners moved onto the page.
        package let boxes: [PageBox]
        /// The text that follows, as the model wrote it.
        package let text: String

        /// Whether its boxes are pictures to be cut out.
        package var isImage: Bool { label.utf8.elementsEqual("image".utf8) }
    }

    /// The blocks in the order in which the model wrote them.
    package let blocks: [Block]
    /// The page image's size in pixels.
    package let width: Int
    /// The page image's size in pixels.
    package let height: Int

    /// Reads the model's text: the end token and NUL bytes are dropped.
    package init(text: String, width: Int, height: Int) {
        self.width = width
        self.height = height
        let bytes = Array(OfficialMarkdown.withoutEnd(text).utf8.lazy.filter { $0 != 0 })
        var blocks: [Block] = []
        var label = "text"
        var boxes: [GridBox] = []
        var start = 0
        func close(at end: Int) {
            let text = String(decoding: bytes[start..<end], as: UTF8.self)
            guard start > 0 || !ByteText.stripped(bytes[start..<end]).isEmpty else { return }
            let pixels = boxes.map { $0.pixels(width: width, height: height).clamped(width: width, height: height) }
            blocks.append(Block(label: label, gridBoxes: boxes, boxes: pixels, text: text))
        }
        for region in LayoutRegion.regions(in: bytes) {
            let own = Self.lastReference(of: region)
            close(at: own.start)
            label = own.label
            boxes = region.boxes
            start = region.range.upperBound
        }
        close(at: bytes.count)
        self.blocks = blocks
    }

    /// The pictures to cut out, in pixels of the page: every box of an image block that is not empty.
    package var figures: [PageBox] {
        blocks.filter(\.isImage).flatMap(\.boxes).filter { !$0.isEmpty }
    }

    /// Markdown without layout tags.
    ///
    /// The figure with index i of `figures` is linked as `images/` and `figureName(i)`.
    package func markdown(figureName: (Int) -> String) -> String {
        var result: [UInt8] = []
        var figure = 0
        for block in blocks {
            if block.isImage {
                for box in block.boxes where !box.isEmpty {
                    result.append(contentsOf: "![](images/\(figureName(figure)))\n".utf8)
                    figure += 1
                }
            }
            result.append(contentsOf: block.text.utf8)
        }
        let text = Self.withoutEmptyLines(OfficialMarkdown.withPlainOperators(result))
        return String(decoding: ByteText.stripped(text), as: UTF8.self)
    }

    /// A JSON array of `{"label", "boxes": [[x1, y1, x2, y2]], "text"}`, boxes in pixels of the page.
    package var layoutJSON: String {
        let items = blocks.map { block in
            let boxes = block.boxes.map { "[\($0.x1), \($0.y1), \($0.x2), \($0.y2)]" }.joined(separator: ", ")
            let text = String(decoding: ByteText.stripped(Array(block.text.utf8)), as: UTF8.self)
            return "{\"label\": \(Self.json(block.label)), \"boxes\": [\(boxes)], \"text\": \(Self.json(text))}"
        }
        return "[" + items.joined(separator: ", ") + "]"
    }

    /// Where the region's own reference starts, and its label: the last `<|ref|>` before its boxes.
    private static func lastReference(of region: LayoutRegion) -> (start: Int, label: String) {
        let label = Array(region.label.utf8)
        var own = 0
        var start = region.range.lowerBound
        while let next = ByteText.find(LayoutMarker.ref, in: label, from: own) {
            own = next + LayoutMarker.ref.count
            start = region.range.lowerBound + own
        }
        return (start, String(decoding: label[own...], as: UTF8.self))
    }

    /// At most one empty line between two lines.
    private static func withoutEmptyLines(_ text: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var newlines = 0
        for byte in text {
            newlines = byte == UInt8(ascii: "\n") ? newlines + 1 : 0
            if newlines <= 2 { result.append(byte) }
        }
        return result
    }

    /// The text as a JSON string.
    private static func json(_ text: String) -> String {
        var result: [UInt8] = [UInt8(ascii: "\"")]
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): result += [UInt8(ascii: "\\"), byte]
            case UInt8(ascii: "\n"): result += Array("\\n".utf8)
            case UInt8(ascii: "\t"): result += Array("\\t".utf8)
            case 0..<0x20:
                let hex = String(byte, radix: 16)
                result += Array("\\u00\(hex.count < 2 ? "0" : "")\(hex)".utf8)
            default: result.append(byte)
            }
        }
        result.append(UInt8(ascii: "\""))
        return String(decoding: result, as: UTF8.self)
    }
}
