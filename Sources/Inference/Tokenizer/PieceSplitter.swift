/// Cuts text into the pieces within which bytes may merge, by the file's own regular expressions.
struct PieceSplitter: Sendable {
    private let patterns: [Pattern]

    /// GPT-2's expression, which ByteLevel applies to each piece unless the file says `use_regex: false`.
    private static let byteLevel =
        #"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

    /// Takes a Sequence of Splits (regular expression, isolated) that ends in ByteLevel.
    init(_ description: TokenizerFile.PreTokenizer?) throws(TokenizerFault) {
        let steps = description?.pretokenizers ?? description.map { [$0] } ?? []
        guard let last = steps.last, last.type == "ByteLevel", last.addPrefixSpace == false else {
            throw TokenizerFault(
                "its pre_tokenizer does not end in ByteLevel with add_prefix_space false, which is what is supported")
        }
        var patterns: [Pattern] = []
        for step in steps.dropLast() {
            guard step.type == "Split", step.behavior == "Isolated", step.invert != true else {
                throw TokenizerFault(
                    "its pre_tokenizer has a \(step.type) (\(step.behavior ?? "no behavior")); "
                        + "only Split with behavior Isolated is supported")
            }
            guard let regex = step.pattern?.regex else {
                throw TokenizerFault("a Split of its pre_tokenizer has no pattern of the kind Regex")
            }
            patterns.append(try Pattern(regex))
        }
        if last.useRegex != false { patterns.append(try Pattern(Self.byteLevel)) }
        self.patterns = patterns
    }

    /// The pieces, in UTF-8; joined they are the text.
    func pieces(of text: [UInt8]) -> [[UInt8]] {
        var pieces = [String(decoding: text, as: UTF8.self)]
        for pattern in patterns {
            pieces = pieces.flatMap(pattern.split)
        }
        return pieces.map { Array($0.utf8) }
    }
}

/// A regular expression over code points.
///
/// Unchecked Sendable: the expression is never changed after `init`, and matching compiles it once, atomically.
private struct Pattern: @unchecked Sendable {
    private let regex: Regex<AnyRegexOutput>

    init(_ pattern: String) throws(TokenizerFault) {
        do {
            regex = try Regex(Self.escaped(pattern)).matchingSemantics(.unicodeScalar)
        } catch {
            throw TokenizerFault(
                "the pattern \(pattern.debugDescription) of its pre_tokenizer is not understood: \(error)")
        }
    }

    /// Matches and what lies between them, each by itself.
    func split(_ text: String) -> [String] {
        var pieces: [String] = []
        var start = text.startIndex
        for match in text.matches(of: regex) where !match.range.isEmpty {
            if start < match.range.lowerBound { pieces.append(String(text[start..<match.range.lowerBound])) }
            pieces.append(String(text[match.range]))
            start = match.range.upperBound
        }
        if start < text.endIndex { pieces.append(String(text[start...])) }
        return pieces
    }

    /// The pattern with every character beyond printable ASCII as `\u{...}`: Swift reads patterns by grapheme cluster,
    /// to which a raw CR and LF are one character.
    private static func escaped(_ pattern: String) -> String {
        var result = ""
        for scalar in pattern.unicodeScalars {
            if (0x20...0x7E).contains(scalar.value) {
                result.unicodeScalars.append(scalar)
            } else {
                result += "\\u{" + String(scalar.value, radix: 16) + "}"
            }
        }
        return result
    }
}
