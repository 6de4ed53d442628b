import Inference
import Testing

@Suite struct GenerationRuleTests {
    @Test func `a repeated n-gram bans the token that would complete it`() {
        let rule = NgramRule(size: 3, window: 90)
        #expect(rule.banned([5, 6, 7, 1, 5, 6]) == [7])
        #expect(rule.banned([5, 6, 7, 1, 6, 5]) == [])
    }

    @Test func `the window forgets what lies before it`() {
        #expect(NgramRule(size: 2, window: 4).banned([5, 6, 1, 2, 3, 5]) == [])
        #expect(NgramRule(size: 2, window: 6).banned([5, 6, 1, 2, 3, 5]) == [6])
        #expect(NgramRule(size: 2, window: nil).banned([5, 6, 1, 2, 3, 5]) == [6])
    }

    @Test func `exempt ids are never banned`() {
        #expect(NgramRule(size: 2, window: 90, exempt: [6]).banned([5, 6, 5, 7, 5]) == [7])
    }

    @Test(arguments: [-1, 0, 1, 7, .max])
    func `sizes that cannot repeat ban nothing`(size: Int) {
        #expect(NgramRule(size: size, window: nil).banned([1, 1, 1, 1, 1, 1]) == [])
        #expect(NgramRule(size: size, window: -5).banned([]) == [])
    }

    @Test func `the official rules have their published sizes`() {
        #expect(NgramRule.image(exempt: [3]) == NgramRule(size: 30, window: 90, exempt: [3]))
        #expect(NgramRule.pdf(exempt: []) == NgramRule(size: 20, window: 50))
        #expect(NgramRule.huggingFace == NgramRule(size: 20, window: nil, overPrompt: true))
    }

    @Test func `a prompt is stripped and each part is encoded by itself`() throws {
        let tokenizer = try Fixtures.tokenizer()
        let ids = try Prompt.ids(
            " \u{3000}a <image>\nFree OCR. <image>\n ", tokenCounts: [3, 2], tokenizer: tokenizer, bos: 0,
            imageToken: 640)
        let expected = [0] + tokenizer.encode("a ") + [640, 640, 640] + tokenizer.encode("\nFree OCR. ") + [640, 640]
        #expect(ids == expected)
    }

    @Test(arguments: [("no image", [5]), ("<image><image>", [5]), ("<image>", [])])
    func `a prompt needs one placeholder for each image`(prompt: String, counts: [Int]) throws {
        let tokenizer = try Fixtures.tokenizer()
        let error = #expect(throws: InferenceError.self) {
            try Prompt.ids(prompt, tokenCounts: counts, tokenizer: tokenizer, bos: 0, imageToken: 640)
        }
        #expect(error?.description.contains("<image>") == true)
    }
}
