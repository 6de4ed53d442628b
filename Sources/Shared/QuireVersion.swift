/// The version of Quire; part of every result's provenance.
package enum QuireVersion {
    package static let current = "0.1.0"
}
