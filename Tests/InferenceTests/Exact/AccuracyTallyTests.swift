import Bench
import Testing
import TextDistance

@Suite struct AccuracyTallyTests {
    @Test(arguments: [
        ([1, 2, 3], [1, 2, 3], 0), ([], [1, 2], 2), ([1, 2, 3, 4], [1, 3, 4], 1), ([1, 2], [2, 1], 2),
        ([9, 1, 2, 3], [1, 2, 3, 9], 2), ([1, 1, 1], [2, 2], 3),
    ])
    func `the distance of two rows of tokens is the least number of edits`(one: [Int32], other: [Int32], edits: Int) {
        #expect(EditDistance.between(one, other) == edits)
        #expect(EditDistance.between(other, one) == edits)
    }

    @Test func `an empty tally agrees with everything`() {
        let tally = AccuracyTally()
        #expect(tally.choiceAgreement == 1 && tally.tokenAgreement == 1)
        #expect(tally.meanError == 0 && tally.relativeLargestError == 0 && tally.standardError == 0)
    }

    @Test func `errors of scores are the largest one and the root of the mean square`() {
        var tally = AccuracyTally()
        tally.addScores([1, -8, 2], expected: [1, -10, 2], banned: [])
        tally.addScores([3, 0, 0], expected: [3, 0, 1], banned: [])
        #expect(tally.largestError == 2 && tally.largestScore == 10)
        #expect(abs(tally.meanError - (5.0 / 6).squareRoot()) < 1e-12)
        #expect(tally.relativeLargestError == 0.2)
        #expect(tally.choices == 2 && tally.equalChoices == 2)
    }

    @Test func `choices are those of the engine: the first of equal scores, and none that is banned`() {
        var tally = AccuracyTally()
        tally.addScores([2, 2, 1], expected: [2, 1, 2], banned: [])
        #expect(tally.equalChoices == 1)
        tally.addScores([5, 2, 1], expected: [9, 1.5, 1], banned: [0])
        #expect(tally.equalChoices == 2)
        tally.addScores([0, 1, 0], expected: [3, 2.5, 0], banned: [])
        #expect(tally.equalChoices == 2 && tally.choices == 3)
        #expect(tally.widestLostMargin == 0.5)
    }

    @Test func `a score that is not a number is infinitely wrong and never chosen over a number`() {
        var tally = AccuracyTally()
        tally.addScores([0, .nan, 1], expected: [0, 2, 1], banned: [])
        #expect(tally.largestError == .infinity && tally.meanError == .infinity)
        #expect(tally.equalChoices == 0)
    }

    @Test func `slices of longer rows are compared from their own beginning`() {
        let (own, exact): ([Float], [Float]) = ([9, 9, 0, 1], [7, 7, 0, 1])
        var tally = AccuracyTally()
        tally.addScores(own[2...], expected: exact[2...], banned: [])
        #expect(tally.largestError == 0 && tally.equalChoices == 1)
    }

    @Test func `tokens agree by one less the edits for each token`() {
        var tally = AccuracyTally()
        tally.addTokens([1, 2, 3, 4], expected: [1, 2, 3, 4])
        tally.addTokens([1, 3, 4, 5], expected: [1, 2, 3, 4])
        #expect(tally.tokens == 8 && tally.edits == 2)
        #expect(tally.tokenAgreement == 0.75)
        #expect(tally.equalPages == 1 && tally.pages == 2)
    }

    @Test func `a text's distance from that of f32 comes with its standard error over pages`() {
        var tally = AccuracyTally()
        tally.addText("abcx", exact: "abcd", truth: "abcd")
        tally.addText("abcd", exact: "abcd", truth: "abcd")
        #expect(tally.text == CharacterErrorRate(edits: 1, characters: 8))
        #expect(tally.pointsFromExact == 12.5)
        #expect(abs(tally.standardError - 12.5) < 1e-12)
        tally.addText("abcd", exact: "abxx", truth: "abcd")
        #expect(abs(tally.pointsFromExact + 100.0 / 12) < 1e-12)
    }
}
