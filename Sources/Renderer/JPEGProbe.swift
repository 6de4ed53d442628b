import Rendering

/// Whether a JPEG picture is whole.
enum JPEGDamage: Sendable, Equatable {
    case whole
    /// `text` begins small and says how much is missing and why.
    case damaged(text: String)
    case unsupported(text: String)
}

/// Looks through a JPEG picture in memory, such as a DCT stream of a PDF, at an eighth of its size.
enum JPEGProbe {
    /// Never ends the process, whatever the bytes are.
    static func damage(of bytes: UnsafeRawBufferPointer) -> JPEGDamage {
        do throws(RenderError) {
            let decoder = try JPEGDecoder(bytes)
            guard [1, 3, 4].contains(decoder.components) else {
                return .unsupported(text: "a JPEG picture of \(decoder.components) colour channels is not read")
            }
            let stop = decoder.decode(scale: 8, asInks: decoder.components == 4) { _, _ in }
            return try damage(decoder, stop)
        } catch {
            return error.kind == .unsupported || error.kind == .tooLarge
                ? .unsupported(text: error.message)
                : .damaged(text: "a JPEG picture could not be decoded: \(error.message)")
        }
    }

    private static func damage(_ decoder: JPEGDecoder, _ stop: RenderError?) throws(RenderError) -> JPEGDamage {
        guard stop != nil || decoder.warning != nil || !decoder.lost.isEmpty else { return .whole }
        if decoder.outputHeight == 0, let stop { throw stop }
        return .damaged(text: text(decoder, scale: 8))
    }

    /// What is wrong with a picture that was decoded, begun small.
    static func text(_ decoder: JPEGDecoder, scale: Int) -> String {
        let reason = decoder.warning ?? decoder.reason
        if !decoder.lost.isEmpty {
            return "\(decoder.lost.text(of: decoder.height, scale: scale)) could not be decoded: \(reason)"
        }
        if decoder.isCoarse { return "not all passes over the picture came, it is coarser than it was: \(reason)" }
        return "all rows were decoded, but parts of the picture may be wrong: \(reason)"
    }
}
