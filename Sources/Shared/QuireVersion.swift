/// The versions of Quire.
package enum QuireVersion {
    /// The program's, as `--version` says it; part of every result's provenance.
    package static let current = "0.1.0"
    /// Of what changes texts: rendering, preprocessing, the engine, layout and Markdown.
    ///
    /// Raised only with a change of that kind: results of other engines are not shared, and their batches are not worked on.
    package static let engine = "0.1.0"
}
