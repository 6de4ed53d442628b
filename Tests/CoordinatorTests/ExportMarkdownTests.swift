import Coordinator
import TestSupport
import Testing

/// What the model wrote comes out harmless, and what is honest comes out as it is.
@Suite struct ExportMarkdownTests {
    /// Text that stays as it is, byte for byte.
    static let honest: [String] = [
        "# A title\n\nWords, *emphasis*, **more** & ampersands &amp; entities &eacute; 3 < 4 > 2, a <- b, x <= y, <3.",
        "<table><tr><td colspan=\"2\">a</td><td rowspan='3'>b &lt; c</td></tr><tr><td>1<br>2<br/>3</td></tr></table>",
        "<table>\n<thead><tr><th>H<sub>2</sub>O</th></tr></thead>\n<tbody><tr><td>x<sup>2</sup></td></tr></tbody>\n</table>",
        "<table><caption>C</caption><tr><td><table><tr><td>nested</td></tr></table></td></tr></table>",
        "<table><tr><td>cells<td>without ends<tr><td>as HTML allows</table>",
        "<center>Figure 3: a caption</center>\n\nWords with <b>bold</b>, <i>slanted</i> and <u>lines</u>.",
        "| a | b |\n|---|---|\n| 1 < 2 | `x` |",
        "\\( a < b \\) and \\[ \\begin{aligned} x &< 1 \\\\ y &> 2 \\end{aligned} \\] and $x < y$ and $$\\frac{a}{b}$$",
        "It costs $5 and $6 & 10% less; e-mail a@b.c; see https://example.org/a?b=c#d and www.example.org.",
        "![](images/p0001-0.jpg)\n\n![A figure](images/p0001-1.jpg)",
        "See [the figure](images/a.jpg) and [below](#notes) and [x](other.md) and f[x](y) and [1](a, b).",
        "[1] A. Author: Title. 1990.\n[2]: no link here\n- [ ] a task\n- [x] done",
        "```python\nif a<b and c>d:\n    print(List<int>, \"<div>\")\n```\n\nafter",
        "~~~\nvector<string> v; #include <stdio.h>\n~~~",
        "Inline `vector<int>`, ``a ` <T>``, `<image>` and `x < y`.",
        "- item\n\n  ```c\n  #include <stdio.h>\n  ```\n- next",
        "    indented code a <= b\n\n> A quotation.\n> Its second line about page 3.\n\n1. one\n2. two",
        "> Pages are counted from one.\n\n> The page before was lost.",
        "**Page 3** of the letter\n\nPage 3\n======\n\n# Page 7",
        "Größe <– straße, 日本語 < 中文, العربية, emoji 👩‍👩‍👧 & e\u{301}",
        "line\r\nnext\r\n\r\n```\r\ncode <T>\r\n```\r\n",
        "\\<not a tag\\> is escaped", "\\`a\\` too, and \\\\ stays",
        "<b>Note</b>: use `List<String>`.", "US$5 <i>net</i> or C$ more", "C:\\style\\x \\class",
        "[a](images/x.png \"Fig: 1\") and [b](images/y.png 'see (2)')", "in [0, 1]: so", "[^1]: A note.\n\nx[^1]",
        "x<sup>[1]</sup>, <b>(a)</b> and\n    more<sup>2</sup>", "- a\n    - b <sup>2</sup>",
        "Code:\n\n    if (a < b) return;\n\n1. Do:\n\n    ```c\n    x = a[i](j);\n\n    y\n    ```",
        "<table>\n    <tr>\n        <td>`a` and <b>b\nc</b></td>\n    </tr>\n</table>",
        "a $ b $ c, 5 $ < 6 $", "", "\n", "***", "`", "```x```", "](", "[]()", "<", "\\", "$", "{a}{b}", "\\frac{1}{2}",
    ]

    @Test(arguments: honest) func `Honest text stays as it is`(_ text: String) {
        // A backslash before what would otherwise be a tag is the only thing that is spelt differently.
        let expected = text.hasPrefix("\\<not") ? text.replacing("\\<not", with: "&lt;not") : text
        #expect(SafeMarkdown.text(text) == expected)
    }

    @Test(arguments: [
        ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
        ("<SCRIPT\nsrc=//evil>", "&lt;SCRIPT\nsrc=//evil>"),
        ("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)>"),
        ("<img src=x onerror=alert(1)//", "&lt;img src=x onerror=alert(1)//"),
        ("<<script>script>", "<&lt;script>script>"),
        ("<scr<script>ipt>", "&lt;scr&lt;script>ipt>"),
        ("<svg/onload=alert(1)>", "&lt;svg/onload=alert(1)>"),
        (
            "<!-- comment --> <?php ?> <![CDATA[x]]> <!DOCTYPE x>",
            "&lt;!-- comment --> &lt;?php ?> &lt;![CDATA[x]]> &lt;!DOCTYPE x>"
        ),
        ("<a id=\"page-2\"></a>", "&lt;a id=\"page-2\">&lt;/a>"),
        (
            "<https://evil.example> <javascript:alert(1)> <a@b.c>",
            "&lt;https://evil.example> &lt;javascript:alert(1)> &lt;a@b.c>"
        ),
        ("\\<script>", "&lt;script>"),
        ("</td></table></b>", "&lt;/td>&lt;/table>&lt;/b>"),
        ("<td onclick=\"x\">a</td>", "&lt;td onclick=\"x\">a&lt;/td>"),
        ("<td>outside</td>", "&lt;td>outside&lt;/td>"),
        ("<b onmouseover=alert(1)>x</b>", "&lt;b onmouseover=alert(1)>x&lt;/b>"),
        ("<b/onclick=x>", "&lt;b/onclick=x>"),
        ("<b\u{0}onclick=x>", "&lt;b\u{0}onclick=x>"),
        ("<b/>", "&lt;b/>"),
        ("<div><p><details><iframe>", "&lt;div>&lt;p>&lt;details>&lt;iframe>"),
    ])
    func `HTML that the model wrote is text that shows`(_ hostile: String, _ harmless: String) {
        #expect(SafeMarkdown.text(hostile) == harmless)
    }

    @Test(arguments: [
        // Looks are left out, spans stay.
        (
            "<table border=1><tr><td style=\"background:url(//e)\" colspan=2>a</td></tr></table>",
            "<table><tr><td colspan=\"2\">a</td></tr></table>"
        ),
        // What is left open is closed, so that it ends with its page.
        ("<table><tr><td>cut off", "<table><tr><td>cut off\n</td></tr></table>\n"),
        ("text <b>bold <i>both", "text <b>bold <i>both\n\n</i>\n</b>"),
        ("<table><tr><td><b>x</td></tr></table>", "<table><tr><td><b>x</b></td></tr></table>"),
        ("<b><table><tr><td></b></td></tr></table>", "<b>\n<table><tr><td>&lt;/b></td></tr></table>\n\n</b>"),
        ("<table><b><tr><td>a</td></tr></table>", "<table>&lt;b><tr><td>a</td></tr></table>"),
        // Fences, too; what only looks like a fence's end is none.
        ("```\ncode", "```\ncode\n```\n"),
        ("~~~~ x\ncode\n~~~\n", "~~~~ x\ncode\n~~~\n~~~~\n"),
        ("```\ncode\n```\u{C}\ntext", "```\ncode\n```\u{C}\ntext\n```\n"),
        ("```\ncode\n\t```", "```\ncode\n\t```\n```\n"),
        ("- a\n  ```\n  b", "- a\n  \\```\n  b"),
        ("```|\n-|", "\\```|\n-|"),
        ("```<table>`", "```< table>`"),
        // Closing tags come after a blank line, where they are neither code nor the end of a fence.
        ("A <b>word\n\n```\ncode\n```", "A <b>word\n\n```\ncode\n```\n\n</b>"),
        ("<b>\n>\r~~~\nx", "<b>\n>\r\n\n~~~\nx\n~~~\n\n</b>"),
        ("<b><center>\n</b>\n```\nx", "<b><center>\n</center></b>\n\n```\nx\n```\n\n</center>\n</b>"),
        ("<b>\u{A0}\n```\nx", "<b>\u{A0}\n\n```\nx\n```\n\n</b>"),
        ("<sub>\n<i>", "<sub>\n<i>\n\n</i>\n</sub>"),
        // Those that a reader may take for code, or for a part of an image, are there once more.
        ("x <b>`</b>` y", "x <b>`</b>` y\n\n</b>"),
        ("x <b>![</b>](images/a.jpg)", "x <b>![</b>](images/a.jpg)\n\n</b>"),
        ("# <b>x\n    y</b>", "# <b>x\n    y</b>\n\n</b>"),
        // Tables are HTML from their first tag to their last.
        ("<table><tr><td>a\n\n    </table>", "<table><tr><td>a\n    </table>"),
        ("<table><tr><td>a\n\n    code", "<table><tr><td>a\n</td></tr></table>\n\n    code"),
        ("<table><tr><td>a\n\n```\ncode", "<table><tr><td>a\n</td></tr></table>\n\n```\ncode\n```\n"),
        ("<table>\n```\n</table>\n```", "<table>\n</table>\n\n```\n</table>\n```"),
        ("- <table><tr><td>a</table>", "- \n<table><tr><td>a</table>"),
        ("Table 1: <table><tr><td>a</td></tr></table>", "Table 1: \n<table><tr><td>a</td></tr></table>"),
    ])
    func `Nothing of a page reaches into the next one`(_ text: String, _ expected: String) {
        #expect(SafeMarkdown.text(text) == expected)
    }

    @Test(arguments: [
        "[x](javascript:alert(1))", "[x](JAVASCRIPT:alert(1))", "[x](java\nscript:alert(1))",
        "[x](java\tscript:alert(1))",
        "[x](\njavascript:alert(1))", "[x](&#106;avascript:alert(1))", "[x](javascript&colon;alert(1))",
        "[x](<javascript:alert(1)>)", "[x](data:text/html,x)", "[x](file:///etc/passwd)", "[x](/etc/passwd)",
        "[x](//evil.example/x)", "[x](https://evil.example)", "[x](http://evil.example \"title\")", "[x](../../x)",
        "[x](images/../../x)", "[x](\\\\server\\share)", "![](https://evil.example/p.png)", "![x](//evil/p.png)",
        "![](file:///etc/passwd)", "[![](images/a.jpg)](https://evil.example)", "[a](b(c)d:e)", "[a\nb](http://e)",
        "[x](vbscript:x)", "\\[x](javascript:alert(1))", "[x\\](http://e)",
        "[a](%2e%2e/%2E%2e/secret.html)", "![a](.%2e/x.png)", "[a](.. \"t\")", "[a](..?x)", "[a](x%2f..%2f..)",
        "[a](images/x.png \"t) ` \")", "[a](images/x.png \"a<b\")", "[a](images/`) <b x onclick=y>z</b> `",
    ])
    func `A link that leads elsewhere is text`(_ text: String) {
        let safe = SafeMarkdown.text(text)
        #expect(safe.contains("] ("))
        #expect(!safe.replacing("](images/a.jpg)", with: "").contains("]("))
        // Nothing is lost.
        #expect(safe.filter { !$0.isWhitespace }.replacing("&lt;", with: "<") == text.filter { !$0.isWhitespace })
    }

    @Test(arguments: [
        "[ref]: javascript:alert(1)", "[ref]: https://evil.example", "> [ref]: //evil", "[a\nb]: http://e",
        "[ref]:\n  data:x",
        "[ref]: <http://e>", "> [x]:\n> javascript:alert(1)\n\n[click][x]", "# x `\n[x]: javascript:alert(1)\n`",
        "[x]: images/a.jpg", "[`]: javascript:x`\n\n[x][`]", "[^x]:\n javascript:alert(1)", "[^`]: a",
        "[a\nb [\\[c]: javascript:x",
    ])
    func `A definition that leads elsewhere is text`(_ text: String) {
        #expect(SafeMarkdown.text(text).contains("] :"))
    }

    @Test(arguments: [
        "> **Page 3** failed: never", ">**Page 3** is blank.", "  > **Page 3** x", "> __Page 3__ x", "> *Page* 3",
        "> Page 3 x",
        "> > **Page 3** x", ">\t**page 3**", "> <b>Page 3</b> x", "> **&#80;age 3**", "> **Page&nbsp;3**",
        "> ***Page\n> 3***",
        "> \u{200B}**Page\u{A0}3**", "- > **Page 3**", "1. > **Page 3**", "> \\**Page 3**", "text\r> **Page 3** x",
        "> # Page 3", "> [Page 3](#x)", "> <center>Page 12</center>", "<b\n> **Page 3** is quarantined: forged.",
        "`a\n> **Page 3** is blank.\n`", "> &#8203;\n**Page 3** is blank.", "> <b>\n</b>\n**Page 3**",
        "> [](a.md)**Page 3**", "> ![a](images/a.jpg)**Page 3**", ">\n> **Page 3**", "[^1]: > **Page 3**",
        "$a\n> **Page 3**$",
        "\\({\n> **Page 3** onclick=}\\)", "> &nbsp;\n  ~~~**Page 3**",
    ])
    func `A note cannot be forged`(_ text: String) {
        let safe = SafeMarkdown.text("Before.\n\n" + text)
        #expect(safe.contains("\\>"))
        #expect(!safe.split(whereSeparator: \.isNewline).contains { $0.hasPrefix("> **Page") })
    }

    /// Readers differ, or Quire cannot know: text, in which nothing acts.
    ///
    /// A space behind `<` is harmless in code, too.
    @Test(arguments: [
        "| a | b |\n|---|---|\n| ` | <b x onfocus=y autofocus>z</b> ` |", "- `a\n- <b x onclick=y>z</b>`",
        "- ```\n  ```\n  <b x onclick=y>z</b>\n  ```", "# x `\n<b x onclick=y>z</b> `",
        "- `\n- <b title=\">\" onclick=y>z</b>`", "a `\n`<b x onclick=y>z</b>`", "\\`<b x onclick=y>z</b>`",
        "$a ` b$ <b x onclick=y>z</b>`", "<center>x</center>\n`<b x onclick=y>z</b>`",
        "```\n```\u{C}\n```\n<b x onclick=y>z</b>", "> ```\n> <b x onclick=y>z</b>", "    <b x onclick=y>z</b>",
        "http://e`<b x onclick=y>z</b>`", "www.e.org/`<b x onclick=y>z</b>`",
        "   ```\n     ```\n<b x onclick=y>z</b>\n   ```",
    ])
    func `Where code is in doubt it is text`(_ text: String) {
        let safe = SafeMarkdown.text(text)
        #expect(!safe.contains("<b"))
        #expect(safe.contains("< b") || safe.contains("&lt;b"))
    }

    @Test(arguments: ["# x `\n<? ` y", "# x `\n<pre> ` y", "# x `\n<!-- ` y", "# x `\n<a x id=\"page-7\"></a> `"])
    func `Nothing that would swallow the next pages is left`(_ text: String) {
        #expect(SafeMarkdown.text(text) == text.replacing("<", with: "< "))
    }

    @Test func `In code, attributes are found wherever a browser finds them`() {
        for tag in [
            "<b x onclick=y>", "<b x=\">\" onclick=y>", "<b/onclick=y>", "<b onclick =y>", "<b\nonclick\n=\ny>",
            "<b x=\"",
            "<b x=a/b onclick=y>", "<pre>", "<?", "<!--", "<b \(String(repeating: "x ", count: 2_000))onclick=y>",
        ] {
            let safe = SafeMarkdown.text("```\n\(tag)\n```")
            #expect(safe == "```\n< \(tag.dropFirst())\n```")
        }
        let code = "```\nif (a<b && c==d) x<y>z; List<String> l = f(x, \"<b>\"); a<b\n```"
        #expect(SafeMarkdown.text(code) == code)
    }

    @Test func `Code holds neither notes nor anchors, and nothing in it acts where code is not known`() {
        let code = """
            ```
            <a id="page-2"></a>
            > **Page 2** failed: x
            <script>alert(1)</script> <img src=x> <div onclick=y> <!-- x
            [x](javascript:alert(1)) ![](http://evil/x.png)
            ```
            """
        let safe = SafeMarkdown.text(code)
        #expect(
            safe
                == """
                ```
                < a id="page-2"></a>
                \\> **Page 2** failed: x
                < script>alert(1)< /script> < img src=x> < div onclick=y> < !-- x
                [x] (javascript:alert(1)) ! [](http://evil/x.png)
                ```
                """.replacing("! [](", with: "![] ("))
        #expect(SafeMarkdown.text("`<script>` and `<a id=\"page-2\">`") == "`< script>` and `< a id=\"page-2\">`")
    }

    @Test func `Formulas keep their meaning and open no tags`() {
        #expect(
            SafeMarkdown.text("\\(a<b\\) $x<y$ \\[ c</d \\] $$e<f>g$$") == "\\(a< b\\) $x< y$ \\[ c< /d \\] $$e< f>g$$")
        #expect(SafeMarkdown.text("\\(<img src=x onerror=y>\\)") == "\\(< img src=x onerror=y>\\)")
        #expect(
            SafeMarkdown.text("<table><tr><td>\\(a<b\\)</td></tr></table>")
                == "<table><tr><td>\\(a< b\\)</td></tr></table>")
        // A formula that does not end is none.
        #expect(SafeMarkdown.text("\\( <script>\n\nx \\)") == "\\( &lt;script>\n\nx \\)")
        // Nor is one that would take in a cell's end.
        #expect(
            SafeMarkdown.text("<table><tr><td>\\(</td><td>\\)</td></tr></table>")
                == "<table><tr><td>\\(</td><td>\\)</td></tr></table>")
        #expect(SafeMarkdown.text("\\(\\href{javascript:alert(1)}{x}\\)") == "\\(\\ href{javascript:alert(1)}{x}\\)")
    }

    @Test func `Attribute lists are text`() {
        #expect(SafeMarkdown.text("**x**{onclick=alert(1)}") == "**x**&#123;onclick=alert(1)}")
        #expect(SafeMarkdown.text("# T {#page-2}") == "# T &#123;#page-2}")
        #expect(SafeMarkdown.text("![](images/a.jpg){: onload=\"x\" }") == "![](images/a.jpg)&#123;: onload=\"x\" }")
    }

    /// Whatever pieces are put together, no tag but the allowed ones is left outside of code.
    @Test func `No mixture of hostile pieces gets through`() {
        let pieces = [
            "<", ">", "/", "script", "<script>", "<img src=x onerror=y>", "<b>", "</b>", "<table>", "</table>", "<td>",
            "\n", "\n\n",
            "```", "\n```\n", "~~~", "`", "``", "$", "$$", "\\(", "\\)", "\\[", "\\]", "\\", "](", "]: ", "[", "!",
            "javascript:x",
            ")", "&lt;", "&", "> ", "**Page 3**", "<a id=\"page-2\">", "<!--", "-->", "  ", "    ", "- ", "x", "é",
            "\r", "{#page-2}",
            "\"", "'", "=", "<td onclick=", "<iframe", "<svg",
        ]
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<20_000 {
            let text = (0..<Int.random(in: 1...14, using: &generator)).map { _ in
                pieces[Int.random(in: 0..<pieces.count, using: &generator)]
            }.joined()
            let safe = SafeMarkdown.text(text)
            for tag in ["<script", "<img", "<iframe", "<svg", "<a", "<!--", "<td onclick"]
            where safe.ranges(of: tag).contains(where: { found in
                !(found.upperBound < safe.endIndex && safe[found.upperBound].isLetter)
            }) {
                Issue.record("\(tag) is left of \(text.debugDescription): \(safe.debugDescription)")
                return
            }
            if safe.split(whereSeparator: \.isNewline).contains(where: { $0.hasPrefix("> **Page 3") }) {
                Issue.record("A note is left of \(text.debugDescription): \(safe.debugDescription)")
                return
            }
            // Nothing that was there is lost.
            let kept = { (text: String) in text.filter { $0.isLetter || $0.isNumber } }
            let shown = kept(safe.replacing("&lt;", with: "").replacing("&#123;", with: ""))
            let given = kept(text.replacing("&lt;", with: ""))
            if safe.filter({ !$0.isWhitespace }).count < text.filter({ !$0.isWhitespace }).count
                || !given.allSatisfy({ shown.contains($0) })
            {
                Issue.record("Something is lost of \(text.debugDescription): \(safe.debugDescription)")
                return
            }
        }
    }

    @Test func `No mixture of honest pieces is changed`() {
        let pieces = [
            "Words & more, 3 < 4 > 2; a <- b, \"quoted\", it's 100 %, x = y, {a: b}, [1], (see 2), a/b, a\\b, C:\\x, #5, 2*3, _x_",
            "# Heading", "**Bold** and *slanted*, `code`, `a<b>` and ``x ` y``.", "- one\n- two\n  - three",
            "1. one\n2. two",
            "| a | b |\n|---|:-:|\n| 1 < 2 | x & y |",
            "<table><tr><td colspan=\"2\">a</td></tr><tr><td>b<br>c</td></tr></table>",
            "<table>\n<tr><th>\\(x_1 < y\\)</th><td rowspan=\"3\">H<sub>2</sub>O</td></tr>\n</table>",
            "\\( x < y > z \\) and \\[ \\sum_{i=1}^{n} a_i \\leq b \\]", "$$\n\\frac{a}{b} < c\n$$",
            "It costs $5 or $ 6.",
            "![](images/p0001-0.jpg)", "```swift\nlet x: Array<Int> = a[b](c)\nif x<y && z>w { }\n```",
            "~~~\n<div>\n~~~",
            "> A quotation of somebody,\n> of two lines.", "https://example.org/a_b?c=d&e=f#g, mail@example.org",
            "日本語、العربية, é, e\u{301}, 👩‍👩‍👧",
            "<center>Table 1: a caption</center>", "***", "- [x] done", "[^1]: A note.",
            "Line one\\\nline two  \nline three",
        ]
        var generator = SeededGenerator(seed: 11)
        for _ in 0..<5_000 {
            let text = (0..<Int.random(in: 1...12, using: &generator)).map { _ in
                pieces[Int.random(in: 0..<pieces.count, using: &generator)]
            }.joined(separator: "\n\n")
            guard SafeMarkdown.text(text) == text else {
                Issue.record("\(text.debugDescription) became \(SafeMarkdown.text(text).debugDescription)")
                return
            }
        }
    }

    @Test func `A page of a megabyte takes no longer than its length`() {
        // Times are not asserted on; what is quadratic here takes minutes.
        for piece in [
            "`", "$x", "](", "]: ", "<i></b>", "<table>\n\n", "``<a ", "\n```\n<a b=", "<td a=\"", "{a=", "> Page",
            "\\(", "[](((", "  ```\n", "<table>", "$$ <b ", "\n> ",
        ] {
            let text = String(repeating: piece, count: 200_000 / piece.utf8.count)
            #expect(SafeMarkdown.text(text).utf8.count >= text.utf8.count)
        }
    }
}
