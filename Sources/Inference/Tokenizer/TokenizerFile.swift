private import FoundationEssentials
import SystemPackage

/// Why a tokenizer file cannot be used; the file's name is the caller's.
struct TokenizerFault: Error {
    let reason: String

    init(_ reason: String) { self.reason = reason }
}

/// The parts of `tokenizer.json` that decide how text is encoded.
struct TokenizerFile: Decodable {
    struct AddedToken: Decodable {
        let id: Int
        let content: String
        let singleWord: Bool?
        let lstrip: Bool?
        let rstrip: Bool?
        let normalized: Bool?

        enum CodingKeys: String, CodingKey {
            case id, content, lstrip, rstrip, normalized
            case singleWord = "single_word"
        }
    }

    struct Normalizer: Decodable {
        let type: String
        let normalizers: [Normalizer]?
    }

    struct PreTokenizer: Decodable {
        struct Pattern: Decodable {
            let regex: String?
            enum CodingKeys: String, CodingKey { case regex = "Regex" }
        }

        let type: String
        let pretokenizers: [PreTokenizer]?
        let pattern: Pattern?
        let behavior: String?
        let invert: Bool?
        let addPrefixSpace: Bool?
        let useRegex: Bool?

        enum CodingKeys: String, CodingKey {
            case type, pretokenizers, pattern, behavior, invert
            case addPrefixSpace = "add_prefix_space"
            case useRegex = "use_regex"
        }
    }

    struct Decoder: Decodable {
        let type: String
    }

    struct Model: Decodable {
        let type: String
        let vocab: [String: Int]
        let merges: Merges
        let dropout: Double?
        let unkToken: String?
        let continuingSubwordPrefix: String?
        let endOfWordSuffix: String?
        let byteFallback: Bool?
        let ignoreMerges: Bool?

        enum CodingKeys: String, CodingKey {
            case type, vocab, merges, dropout
            case unkToken = "unk_token"
            case continuingSubwordPrefix = "continuing_subword_prefix"
            case endOfWordSuffix = "end_of_word_suffix"
            case byteFallback = "byte_fallback"
            case ignoreMerges = "ignore_merges"
        }
    }

    /// Merges in order of rank: `"a b"` in older files, `["a", "b"]` in newer ones.
    enum Merges: Decodable {
        case strings([String])
        case pairs([[String]])

        init(from decoder: any Swift.Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let strings = try? container.decode([String].self) {
                self = .strings(strings)
            } else {
                self = .pairs(try container.decode([[String]].self))
            }
        }
    }

    let addedTokens: [AddedToken]?
    let normalizer: Normalizer?
    let preTokenizer: PreTokenizer?
    let decoder: Decoder?
    let model: Model

    enum CodingKeys: String, CodingKey {
        case normalizer, decoder, model
        case addedTokens = "added_tokens"
        case preTokenizer = "pre_tokenizer"
    }

    /// Reads and parses the file; what it asks for is not checked yet.
    init(contentsOf path: FilePath) throws(InferenceError) {
        let bytes = try MappedFile(path).bytes()
        do {
            self = try JSONDecoder().decode(TokenizerFile.self, from: Data(bytes))
        } catch let error as DecodingError {
            throw .badTokenizer(path, reason: Self.sentence(for: error))
        } catch {
            throw .badTokenizer(path, reason: "\(error)")
        }
    }

    /// Refuses every option whose effect on the ids is not implemented.
    func checkOptions() throws(TokenizerFault) {
        guard model.type == "BPE" else { throw TokenizerFault("its model is \(model.type), only BPE is supported") }
        guard model.dropout ?? 0 == 0, model.unkToken == nil, model.byteFallback != true,
            (model.continuingSubwordPrefix ?? "").isEmpty, (model.endOfWordSuffix ?? "").isEmpty
        else {
            throw TokenizerFault(
                "its BPE uses one of dropout, unk_token, byte_fallback, continuing_subword_prefix or "
                    + "end_of_word_suffix, which a byte-level BPE does not have")
        }
        if let normalizer, normalizer.type != "Sequence" || normalizer.normalizers?.isEmpty != true {
            throw TokenizerFault("it has the normalizer \(normalizer.type), only none is supported")
        }
        guard decoder?.type == "ByteLevel" else {
            throw TokenizerFault("its decoder is \(decoder?.type ?? "missing"), only ByteLevel is supported")
        }
        for token in addedTokens ?? []
        where token.lstrip == true || token.rstrip == true || token.singleWord == true {
            throw TokenizerFault(
                "added token \(token.content.debugDescription) has lstrip, rstrip or single_word, which are not supported"
            )
        }
    }

    private static func sentence(for error: DecodingError) -> String {
        switch error {
        case .dataCorrupted(let context), .keyNotFound(_, let context), .typeMismatch(_, let context),
            .valueNotFound(_, let context):
            let place = context.codingPath.map(\.stringValue).joined(separator: ".")
            return place.isEmpty ? context.debugDescription : "at \(place): \(context.debugDescription)"
        @unknown default:
            return "\(error)"
        }
    }
}
