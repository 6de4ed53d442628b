import Inference
import Parity
import SystemPackage
import TestSupport
import Testing

@Suite struct TokenizerTests {
    @Test(arguments: ["tiny-bf16", "tiny-f32"])
    func `any text comes back from its ids code point by code point`(checkpoint: String) throws {
        let tokenizer = try Fixtures.tokenizer(checkpoint)
        var random = FixedRandom(seed: 7)
        for _ in 0..<200 {
            var text = String.UnicodeScalarView()
            for _ in 0..<Int.random(in: 0...40, using: &random) {
                let code = UInt32.random(in: 0...(Bool.random(using: &random) ? 0x7F : 0x1FFFF), using: &random)
                if let scalar = Unicode.Scalar(code) { text.append(scalar) }
            }
            let whole = String(text)
            #expect(Array(tokenizer.decode(tokenizer.encode(whole)).utf8) == Array(whole.utf8))
        }
    }

    @Test func `canonically equal texts stay different`() throws {
        let tokenizer = try Fixtures.tokenizer()
        let composed = tokenizer.encode("caf\u{e9}")
        let decomposed = tokenizer.encode("cafe\u{301}")
        #expect(composed != decomposed)
        #expect(Array(tokenizer.decode(decomposed).unicodeScalars).last == "\u{301}")
    }

    @Test func `strings and pairs of merges give the same ids`() throws {
        let text = "The harbour master writes 12 notes.\r\n  海港の潮 🙂 <td>x</td>"
        #expect(try Fixtures.tokenizer("tiny-bf16").encode(text) == Fixtures.tokenizer("tiny-f32").encode(text))
    }

    @Test func `unknown ids are left out`() throws {
        let tokenizer = try Fixtures.tokenizer()
        let ids = tokenizer.encode("ab")
        #expect(tokenizer.decode([-1] + ids + [99_999, .max]) == "ab")
    }

    @Test func `a cut character becomes the replacement character`() throws {
        let tokenizer = try TokenizerText().load()
        let ids = tokenizer.encode("é🙂")
        #expect(ids.count == 6)
        #expect(tokenizer.decode(ids.dropLast()) == "é\u{FFFD}")
        #expect(tokenizer.decode(ids[1...1]) == "\u{FFFD}")
    }

    @Test func `added tokens come first and the longest wins`() throws {
        var file = TokenizerText()
        file.added = [("<im", 300), ("<image>", 301), ("潮", 302), ("ab", 303)]
        let tokenizer = try file.load()
        #expect(tokenizer.encode("<image><im<image潮") == [301, 300, 300] + tokenizer.encode("age") + [302])
        #expect(tokenizer.id(of: "<image>") == 301)
        #expect(tokenizer.id(of: "nothing") == nil)
    }

    @Test func `merges apply by rank and not by place`() throws {
        var file = TokenizerText()
        file.merges = ["b c", "a b", "a bc"]
        let tokenizer = try file.load()
        #expect(tokenizer.encode("abc").map(tokenizer.name) == ["abc"])
        #expect(tokenizer.encode("abab").map(tokenizer.name) == ["ab", "ab"])
        #expect(tokenizer.encode("bcab").map(tokenizer.name) == ["bc", "ab"])
    }

    /// The ids are those of Hugging Face's tokenizers 0.23.
    @Test(arguments: [
        ("<image>\nFree OCR.", [3, 209, 48, 1035, 468, 45, 60, 24]),
        (
            "<image>\n<|grounding|>Convert the document to markdown.",
            [3, 209, 4, 45, 272, 414, 94, 319, 898, 560, 364, 292, 793, 78, 744, 24]
        ),
        (
            "It's 1788: the  lamp\r\n\r\n isn't (really) lit, we'll say 3.14…  ",
            [
                51, 94, 268, 231, 27, 33, 34, 34, 36, 319, 231, 312, 627, 212, 209, 212, 209, 342, 88, 978, 316, 285,
                571,
                19, 312, 288, 22, 804, 17, 86, 86, 270, 374, 231, 29, 24, 27, 30, 169, 233, 110, 231, 231,
            ]
        ),
        (
            "\tTabs & naïve café  \n x",
            [208, 62, 334, 93, 231, 16, 303, 75, 138, 118, 1155, 279, 809, 138, 113, 231, 231, 209, 975]
        ),
    ])
    func `ByteLevel's own expression cuts words as GPT-2 did`(text: String, ids: [Int32]) throws {
        let tokenizer = try Tokenizer(contentsOf: Fixtures.nano.appending("tokenizer.json"))
        #expect(tokenizer.encode(text) == ids)
    }

    @Test func `a word of a hundred thousand letters is encoded`() throws {
        var file = TokenizerText()
        file.merges = ["a a", "aa aa"]
        let tokenizer = try file.load()
        let ids = tokenizer.encode(String(repeating: "a", count: 100_001))
        #expect(ids.count == 25_001)
        #expect(ids.last.map(tokenizer.name) == "a")
    }

    @Test(arguments: [
        ("\"type\": \"BPE\"", "\"type\": \"Unigram\"", "Unigram"),
        ("\"byte_fallback\": false", "\"byte_fallback\": true", "byte_fallback"),
        ("\"Isolated\"", "\"Removed\"", "Removed"),
        ("\"type\": \"Split\"", "\"type\": \"Metaspace\"", "Metaspace"),
        ("\"add_prefix_space\": false", "\"add_prefix_space\": true", "add_prefix_space"),
        ("\"decoder\": {\"type\": \"ByteLevel\"}", "\"decoder\": {\"type\": \"WordPiece\"}", "WordPiece"),
        ("\"normalizer\": null", "\"normalizer\": {\"type\": \"NFC\"}", "NFC"),
        ("\"lstrip\": false", "\"lstrip\": true", "lstrip"),
        ("\"id\": 300", "\"id\": -4", "-4"),
        ("\"id\": 300", "\"id\": 99999999999", "99999999999"),
        ("\"merges\": []", "\"merges\": [\"a z z\"]", "not a pair"),
        ("\"merges\": []", "\"merges\": [\"a zz\"]", "names no tokens"),
        ("\"merges\": []", "\"merges\": 7", "merges"),
        ("\"vocab\"", "\"vocabulary\"", "vocab"),
        ("\"a\": 97", "\"zzz\": 97", "no token for the byte 97"),
        ("[a-z]+", "[a-z", "not understood"),
    ])
    func `a file that asks for something else is refused with its reason`(
        original: String, replacement: String, reason: String
    ) throws {
        var file = TokenizerText()
        file.added = [("<image>", 300)]
        let text = file.json
        let parts = text.split(separator: original, maxSplits: 1, omittingEmptySubsequences: false)
        try #require(parts.count == 2, "the file has \(original)")
        file.override = parts[0] + replacement + parts[1]
        let error = #expect(throws: InferenceError.self) { try file.load() }
        guard case .badTokenizer(_, let found)? = error else {
            Issue.record("the error is \(String(describing: error))")
            return
        }
        #expect(found.contains(reason))
    }

    @Test(arguments: [0, 1, 100, 1500])
    func `a file that is cut off is refused`(length: Int) throws {
        var file = TokenizerText()
        file.override = String(file.json.prefix(length))
        #expect(throws: InferenceError.self) { try file.load() }
    }

    @Test func `a missing file is named`() {
        let error = #expect(throws: InferenceError.self) { try Tokenizer(contentsOf: "/nowhere/tokenizer.json") }
        #expect(error?.description.contains("/nowhere/tokenizer.json") == true)
    }
}

extension Tokenizer {
    fileprivate func name(_ id: Int32) -> String { decode([id]) }
}

/// A tokenizer file with one token for each byte, and what a test adds.
struct TokenizerText {
    var added: [(content: String, id: Int)] = []
    var merges: [String] = []
    var override: String?

    var json: String {
        var next: UInt32 = 0x100
        var vocabulary: [String] = (0...255).map { byte in
            let isPrintable = (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE
            let code = isPrintable ? UInt32(byte) : next
            if !isPrintable { next += 1 }
            let text = Unicode.Scalar(code).map { String($0) } ?? ""
            return "\(Self.quoted(text)): \(byte)"
        }
        for (index, merge) in merges.enumerated() {
            vocabulary.append("\(Self.quoted(merge.filter { $0 != " " })): \(400 + index)")
        }
        let tokens = added.map { token in
            """
            {"id": \(token.id), "content": \(Self.quoted(token.content)), "single_word": false, "lstrip": false, \
            "rstrip": false, "normalized": false, "special": true}
            """
        }
        return """
            {"version": "1.0", "added_tokens": [\(tokens.joined(separator: ", "))], "normalizer": null,
             "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
               {"type": "Split", "pattern": {"Regex": "[a-z]+"}, "behavior": "Isolated", "invert": false},
               {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]},
             "post_processor": null, "decoder": {"type": "ByteLevel"},
             "model": {"type": "BPE", "dropout": null, "unk_token": null, "byte_fallback": false,
               "vocab": {\(vocabulary.joined(separator: ", "))},
               "merges": [\(merges.map(Self.quoted).joined(separator: ", "))]}}
            """
    }

    func load() throws -> Tokenizer {
        let folder = try TemporaryDirectory()
        return try Tokenizer(contentsOf: try folder.write(Array((override ?? json).utf8), as: "tokenizer.json"))
    }

    private static func quoted(_ text: String) -> String {
        "\"" + text.flatMap { $0 == "\"" || $0 == "\\" ? ["\\", $0] : [$0] } + "\""
    }
}
