/// A box as the model writes it: corners on a grid from 0 to 999 in both directions.
package struct GridBox: Sendable, Hashable {
    package let x1: Double
    package let y1: Double
    package let x2: Double
    package let y2: Double

    package init(x1: Double, y1: Double, x2: Double, y2: Double) {
        self.x1 = x1
        self.y1 = y1
        self.x2 = x2
        self.y2 = y2
    }

    /// The box in pixels of a page image: divided by 999, times the page's size, the fraction dropped, in float64.
    ///
    /// It may lie outside the page or be turned inside out. Numbers beyond Int become its ends.
    package func pixels(width: Int, height: Int) -> PageBox {
        func pixel(_ value: Double, _ size: Int) -> Int {
            let scaled = (value / 999 * Double(size)).rounded(.towardZero)
            return scaled.isNaN ? 0 : Int(exactly: scaled) ?? (scaled < 0 ? .min : .max)
        }
        return PageBox(x1: pixel(x1, width), y1: pixel(y1, height), x2: pixel(x2, width), y2: pixel(y2, height))
    }

    /// The boxes of a `<|det|>` text: up to the first that is not four numbers, none where it is not a list.
    static func boxes(in text: [UInt8]) -> [GridBox] {
        guard case .sequence(let items)? = PythonLiteral(text) else { return [] }
        var boxes: [GridBox] = []
        for item in items {
            guard case .sequence(let corners) = item, corners.count == 4 else { break }
            let values = corners.compactMap { if case .number(let value) = $0 { value } else { nil } }
            guard values.count == 4 else { break }
            boxes.append(GridBox(x1: values[0], y1: values[1], x2: values[2], y2: values[3]))
        }
        return boxes
    }
}

/// A box in pixels of a page image, from its top left corner: `x1 ..< x2`, `y1 ..< y2`.
package struct PageBox: Sendable, Hashable {
    package let x1: Int
    package let y1: Int
    package let x2: Int
    package let y2: Int

    package init(x1: Int, y1: Int, x2: Int, y2: Int) {
        self.x1 = x1
        self.y1 = y1
        self.x2 = x2
        self.y2 = y2
    }

    /// Whether nothing lies in it, or it is turned inside out.
    package var isEmpty: Bool { x1 >= x2 || y1 >= y2 }

    /// The box with every corner moved onto the page.
    package func clamped(width: Int, height: Int) -> PageBox {
        func onto(_ value: Int, _ size: Int) -> Int { min(max(value, 0), size) }
        return PageBox(x1: onto(x1, width), y1: onto(y1, height), x2: onto(x2, width), y2: onto(y2, height))
    }
}
