/// A rectangle in pixels of a page image.
///
/// It covers `x1 <= x < x2`, `y1 <= y < y2` and may reach beyond the image.
package struct PixelBox: Sendable, Hashable {
    package var x1: Int
    package var y1: Int
    package var x2: Int
    package var y2: Int

    package init(x1: Int, y1: Int, x2: Int, y2: Int) {
        self.x1 = x1
        self.y1 = y1
        self.x2 = x2
        self.y2 = y2
    }
}
