/// Complaints of reference tools about what does not show on a page.
package struct AcceptedComplaint: Sendable {
    /// What the complaint begins with or holds.
    package let words: String
    package let reason: String

    package static let all = [
        AcceptedComplaint(words: "Annotation", reason: "annotations are drawn by their own appearance, or not at all"),
        AcceptedComplaint(words: "outline", reason: "the table of contents is not on the page"),
        AcceptedComplaint(words: "Outline", reason: "the table of contents is not on the page"),
        AcceptedComplaint(words: "Optional content", reason: "layers that cannot be read are shown"),
        AcceptedComplaint(words: "destination", reason: "a link's target is not on the page"),
        AcceptedComplaint(words: "StructTree", reason: "the logical structure is not on the page"),
        AcceptedComplaint(
            words: "Unknown field with tag", reason: "libtiff passes over tags that it does not know; so do we"),
        AcceptedComplaint(words: "ncorrect count for", reason: "libtiff mends a tag or does without it"),
        AcceptedComplaint(words: "tag ignored", reason: "libtiff does without a tag"),
        AcceptedComplaint(words: "Invalid TIFF directory; tags are not sorted", reason: "all tags are read"),
        AcceptedComplaint(
            words: "color channels and ExtraSamples", reason: "libtiff takes the samples that are over as extra ones"),
        // Of strips without compression: libtiff reads as many bytes as the picture wants, whatever is stated.
        AcceptedComplaint(
            words: "DumpModeDecode: Not enough data", reason: "a stated length is wrong, the pixels are there"),
        AcceptedComplaint(
            words: "Too large strip byte count", reason: "a stated length is wrong, the pixels are there"),
        AcceptedComplaint(
            words: "TIFFFillStrip: Read error on strip", reason: "a stated length is wrong, the pixels are there"),
        AcceptedComplaint(words: "unknown ancillary chunk", reason: "decoders pass over it"),
        AcceptedComplaint(words: "illegal (unless recently approved) unknown", reason: "decoders pass over it"),
        AcceptedComplaint(words: "EOF while reading chunk type", reason: "the end is missing after a whole picture"),
        AcceptedComplaint(words: "invalid chunk name", reason: "it stands behind the picture, or that is refused"),
        AcceptedComplaint(words: "tEXt", reason: "a comment is not on the page"),
        AcceptedComplaint(words: "pHYs", reason: "of dots an inch that make no sense nothing is taken"),
        AcceptedComplaint(words: "tIME", reason: "a date is not on the page"),
    ]

    /// Why a complaint says nothing against a page; nil where it may.
    package static func reason(for complaint: String) -> String? {
        all.first { complaint.contains($0.words) }?.reason
    }
}
