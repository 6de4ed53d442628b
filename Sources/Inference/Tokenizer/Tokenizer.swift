package import SystemPackage

/// A byte-level BPE tokenizer as Hugging Face's `tokenizer.json` describes it (MODEL.md section 4).
///
/// Text is cut at added tokens (longest first, as literal text), then by the file's own regular expressions, and each
/// piece's bytes are merged by rank. Text and tokens are compared as code points, never by canonical equivalence.
package struct Tokenizer: Sendable {
    private let vocabulary: [String: Int32]
    private let added: AddedTokens
    private let splitter: PieceSplitter
    private let merger: BytePairMerger
    private let ignoresMerges: Bool
    private let bytesOfID: [Int32: [UInt8]]

    /// Reads `tokenizer.json`.
    ///
    /// - Throws: `unreadableFile`, or `badTokenizer` with the reason where the file is damaged or asks for something
    ///   that a byte-level BPE of this kind does not do.
    package init(contentsOf path: FilePath) throws(InferenceError) {
        let file = try TokenizerFile(contentsOf: path)
        do throws(TokenizerFault) {
            try self.init(file)
        } catch {
            throw .badTokenizer(path, reason: error.reason)
        }
    }

    private init(_ file: TokenizerFile) throws(TokenizerFault) {
        try file.checkOptions()
        var vocabulary: [String: Int32] = [:]
        vocabulary.reserveCapacity(file.model.vocab.count)
        var bytesOfID: [Int32: [UInt8]] = [:]
        bytesOfID.reserveCapacity(file.model.vocab.count)
        for (text, id) in file.model.vocab {
            guard let id = Int32(exactly: id), id >= 0 else {
                throw TokenizerFault("token \(text.debugDescription) has the id \(id)")
            }
            vocabulary[text] = id
            bytesOfID[id] = ByteAlphabet.bytes(of: text)
        }
        for token in file.addedTokens ?? [] {
            guard let id = Int32(exactly: token.id), id >= 0 else {
                throw TokenizerFault("added token \(token.content.debugDescription) has the id \(token.id)")
            }
            if let other = vocabulary[token.content], other != id {
                throw TokenizerFault("token \(token.content.debugDescription) has two ids, \(other) and \(id)")
            }
            bytesOfID[id] = ByteAlphabet.bytes(of: token.content)
        }
        added = AddedTokens(file.addedTokens ?? [])
        splitter = try PieceSplitter(file.preTokenizer)
        merger = try BytePairMerger(merges: file.model.merges, vocabulary: vocabulary)
        ignoresMerges = file.model.ignoreMerges ?? false
        self.vocabulary = vocabulary
        self.bytesOfID = bytesOfID
    }

    /// The ids of a text; nothing is added in front or behind.
    package func encode(_ text: String) -> [Int32] { encode(bytes: Array(text.utf8)) }

    /// The ids of a text in UTF-8.
    func encode(bytes: [UInt8]) -> [Int32] {
        var ids: [Int32] = []
        for part in added.split(bytes) {
            switch part {
            case .token(let id): ids.append(id)
            case .text(let text):
                for piece in splitter.pieces(of: text) { append(piece, to: &ids) }
            }
        }
        return ids
    }

    private func append(_ piece: [UInt8], to ids: inout [Int32]) {
        if ignoresMerges, let id = vocabulary[ByteAlphabet.text(of: piece)] {
            ids.append(id)
        } else {
            ids.append(contentsOf: merger.merged(piece))
        }
    }

    /// The text of ids: their bytes joined, special tokens kept, cut characters as U+FFFD, unknown ids left out.
    package func decode(_ ids: some Sequence<Int32>) -> String {
        String(decoding: bytes(of: ids), as: UTF8.self)
    }

    /// The bytes of ids, joined, unknown ids left out; they may end inside a character.
    package func bytes(of ids: some Sequence<Int32>) -> [UInt8] {
        ids.flatMap { bytesOfID[$0] ?? [] }
    }

    /// The id of a token by its text in the file, nil where there is none.
    package func id(of token: String) -> Int32? { added.id(of: token) ?? vocabulary[token] }
}
