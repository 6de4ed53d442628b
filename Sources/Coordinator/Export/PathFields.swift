internal import Shared
internal import SystemPackage

extension FilePath {
    /// The path's bytes in hexadecimal where its shown text does not tell them, else nil.
    var hexWhereNeeded: String? {
        let bytes = bytes
        guard !displayText.utf8.elementsEqual(bytes) else { return nil }
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// Members of a JSON object: the shown path, and the bytes where they differ.
    func jsonMembers(_ name: String) -> [(String, JSONText)] {
        [(name, .string(displayText))] + (hexWhereNeeded.map { [(name + "Hex", .string($0))] } ?? [])
    }

    /// A path as `jsonMembers` tells it.
    init(shown text: String, hex: String?) {
        let digits = Array((hex ?? "").utf8)
        let bytes = stride(from: 0, to: digits.count - 1, by: 2).compactMap {
            UInt8(String(decoding: digits[$0...$0 + 1], as: UTF8.self), radix: 16)
        }
        self.init(bytes: hex == nil ? Array(text.utf8) : bytes)
    }
}
