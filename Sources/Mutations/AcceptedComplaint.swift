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
        AcceptedComplaint(words: "incorrect count for field", reason: "libtiff mends a tag and goes on"),
        AcceptedComplaint(words: "unknown ancillary chunk", reason: "decoders pass over it"),
        AcceptedComplaint(words: "illegal (unless recently approved) unknown", reason: "decoders pass over it"),
        AcceptedComplaint(words: "tEXt", reason: "a comment is not on the page"),
        AcceptedComplaint(words: "pHYs", reason: "of dots an inch that make no sense nothing is taken"),
        AcceptedComplaint(words: "tIME", reason: "a date is not on the page"),
    ]

    /// Why a complaint says nothing against a page; nil where it may.
    package static func reason(for complaint: String) -> String? {
        all.first { complaint.contains($0.words) }?.reason
    }
}
