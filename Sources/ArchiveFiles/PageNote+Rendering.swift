package import Rendering
package import Shared

extension PageNote {
    /// The renderer's note as it is stored.
    package init(_ note: RenderNote) { self.init(code: note.code.rawValue, text: note.text) }
}
