import Inference
import Parity
import SystemPackage
import Testing

/// The fixtures beside this file, found without copying them into the build.
enum Fixtures {
    static let path = FilePath(#filePath).removingLastComponent().removingLastComponent().appending("Fixtures")

    static let golden = GoldenFolder(path.appending("golden"))

    /// The small trained checkpoint that a clone brings.
    static let nano = path.removingLastComponent().removingLastComponent().removingLastComponent()
        .appending("models/quire-nano")

    static func tokenizer(_ checkpoint: String = "tiny-bf16") throws -> Tokenizer {
        try Tokenizer(contentsOf: golden.path.appending(checkpoint).appending("tokenizer.json"))
    }
}

/// A small generator, so that every run sees the same numbers.
struct FixedRandom: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        var mixed = state
        mixed ^= mixed >> 33
        mixed = mixed &* 0xFF51_AFD7_ED55_8CCD
        return mixed ^ (mixed >> 33)
    }

    mutating func image(width: Int, height: Int) -> RGBImage {
        let bytes = (0..<(width * height * 3)).map { _ in UInt8.random(in: 0...255, using: &self) }
        return RGBImage(width: width, height: height, bytes: bytes)
    }
}
