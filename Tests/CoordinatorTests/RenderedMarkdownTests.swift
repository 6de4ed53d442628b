import Coordinator
import SystemPackage
import TestSupport
import Testing

/// What GitHub's renderer makes of pages that are put together from dangerous pieces, with raw HTML allowed.
@Suite struct RenderedMarkdownTests {
    private static let pieces = [
        "`", "``", "```", "\n```\n", "\n~~~\n", "\n  ```\n", "\n    ```\n", "\n- ```\n", "\n> ```\n", "```c\n",
        "~~~|\n",
        "\n- ", "\n1. ", "\n> ", "\n>", "\n", "\n", "\n\n", "\n\n", "\n\n    ", "\t", "\u{C}", "\r", "\n  ", "\n# ",
        " ",
        "|", " | ", "\n| a | b |\n|---|---|\n| ", "<b x onclick=x>", "<b>", "</b>", "<i>", "</i>", "\n<sub>\n",
        "</sub>",
        "<?", "<!--", "<pre>", "<script>", "<a id=\"page-7\"></a>", "<a x href=javascript:alert(1)>",
        "<img src=x onerror=y>",
        "<b title=\">\" onclick=x>", "<b title=\"`\">", "\n[x]: javascript:alert(1)\n", "\n[x]:\n",
        "javascript:alert(1)",
        "\n[`]: javascript:x`\n", "[x]", "[click][x]", "][`]", "\n[^1]: ", "[", "]", "](", "](a.md)", "![", "](b \"",
        "\")",
        "](javascript\\:alert(1))", "](&#106;avascript:a)", "](%2e%2e/x)", ")", "\\", "\\(", "\\)", "$", "{", "}",
        "\n> **Page 7** is blank", "**Page 7** is blank", "&#8203;", "<table><tr><td>", "\n<table><tr><td>", "</td>",
        "<td>",
        "</td></tr></table>", "\n    </table>", "\n<center>", "</center>", "<br>", "word", "<", ">", "<http://e>", "é",
    ]

    @Test func `Nothing acts, leads away, passes for a note or reaches into the next page`() async throws {
        var generator = SeededGenerator(seed: 5)
        let pages = (0..<3_000).map { _ in
            (0..<Int.random(in: 2...20, using: &generator)).map { _ in
                Self.pieces.randomElement(using: &generator) ?? ""
            }
            .joined()
        }
        let document = pages.enumerated().map { number, page in
            "<a id=\"start-\(number)\"></a>\n\n\(SafeMarkdown.text(page))\n\n"
        }.joined()
        let directory = try TemporaryDirectory()
        try directory.makeFile("document.md", Array(document.utf8))
        let rendered = try await RunningProgram.run(
            "/usr/bin/cmark-gfm",
            [
                "--unsafe", "-e", "table", "-e", "strikethrough", "-e", "autolink", "-e", "tasklist",
                directory.path.appending("document.md").string,
            ])
        try #require(rendered.status == 0)
        var judge = Judge(pages: pages)
        #expect(judge.fault(in: rendered.output) == nil)
    }

    /// Reads HTML tag by tag.
    private struct Judge {
        let pages: [String]
        /// How often elements that HTML itself holds open are begun and not ended on this page.
        private var open: [String: Int] = [:]
        private var page = -1

        private static let plain: Set<String> = [
            "p", "h1", "h2", "h3", "ul", "ol", "li", "blockquote", "strong", "em", "code", "pre", "hr", "br", "table",
            "thead",
            "tbody", "tr", "th", "td", "b", "i", "sub", "center", "del", "input", "a", "img",
        ]
        private static let lasting: Set<String> = [
            "table", "b", "i", "sub", "center", "a", "em", "strong", "code", "pre",
        ]
        private static let attributes: Set<String> = [
            "alt", "title", "align", "start", "type", "checked", "disabled", "class", "href", "src",
        ]

        init(pages: [String]) { self.pages = pages }

        /// The first fault and the page that it is on; nil if there is none.
        mutating func fault(in html: String) -> String? {
            if html.contains("<blockquote>\n<p><strong>Page 7") { return "a note" }
            for part in html.split(separator: "<").dropFirst(html.hasPrefix("<") ? 0 : 1) {
                guard let first = part.first, first.isASCII && first.isLetter || "/!?".contains(first) else { continue }
                if let fault = fault(tag: String(part.prefix { $0 != ">" })) {
                    return "\(fault) at \(part.debugDescription) on \(page < 0 ? "" : pages[page].debugDescription)"
                }
            }
            return page == pages.count - 1 ? nil : "\(pages.count) pages became \(page + 1)"
        }

        private mutating func fault(tag: String) -> String? {
            let isClosing = tag.hasPrefix("/")
            let name = String(tag.drop { $0 == "/" }.prefix { $0.isLetter || $0.isNumber })
            if tag == "a id=\"start-\(page + 1)\"" {
                if open.values.contains(where: { $0 > 0 }) { return "what is open: \(open)" }
                page += 1
                open = ["a": 1]
                return nil
            }
            guard Self.plain.contains(name) else { return "an element" }
            if Self.lasting.contains(name) { open[name, default: 0] += isClosing ? -1 : 1 }
            // Between quotes stand the values, and before each of them its name.
            let fields = tag.dropFirst(name.count + (isClosing ? 1 : 0)).split(
                separator: "\"", omittingEmptySubsequences: false)
            for (index, field) in fields.enumerated() where index % 2 == 0 {
                let attribute = field.filter { !" =/".contains($0) }
                guard attribute.isEmpty || Self.attributes.contains(attribute) else { return "an attribute" }
                guard attribute == "href" || attribute == "src", index + 1 < fields.count else { continue }
                let target = fields[index + 1].lowercased()
                // A bare address is a link that shows where it leads.
                if target.hasPrefix("http://e"), name == "a" { continue }
                if target.contains(":") || target.contains("..") || target.contains("%2e") { return "a target" }
            }
            return nil
        }
    }
}
