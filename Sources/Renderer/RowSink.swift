private import Glibc
import Rendering

/// Takes the rows of a picture as they are decoded and keeps them, reduced by the least whole factor that brings the page
/// below the limit of pixels.
///
/// Rows and tiles may come in any order, each pixel at most once; what never comes stays white. Reduced pixels are means
/// of squares, of what there is of them at the right and lower edge.
struct RowSink: ~Copyable {
    /// The picture's own size.
    let width: Int
    let height: Int
    /// Pixels of the picture, along and down, that become one.
    let factor: Int
    private let image: PixelBuffer
    private let sums: DarknessSums?
    /// By what the decoder has reduced the rows already, and the picture's size before that.
    private let scale: Int
    private let original: (width: Int, height: Int)

    /// The least whole factor that brings a page below the limit of pixels.
    static func factor(width: Int, height: Int, enlargement: Double, limits: RenderLimits) -> Int {
        var factor = 1
        func reduced(_ side: Int) -> Double { Double((side + factor - 1) / factor) }
        while reduced(width) * reduced(height) * enlargement > Double(limits.maxPixels) { factor += 1 }
        return factor
    }

    /// The rows that come are those of the picture reduced by `scale`, which divides the factor that it needs.
    ///
    /// `enlargement` is what the page grows by afterwards, to make its pixels square: it counts for the limit.
    init(
        width fullWidth: Int, height fullHeight: Int, dpi: Double?, enlargement: Double = 1, scale: Int = 1,
        limits: RenderLimits
    ) throws(RenderError) {
        guard fullWidth > 0, fullHeight > 0, fullWidth < 1 << 31, fullHeight < 1 << 31 else {
            throw RenderError(.damaged, "The image is \(fullWidth) x \(fullHeight) pixels: it has no usable size.")
        }
        let (width, height) = ((fullWidth + scale - 1) / scale, (fullHeight + scale - 1) / scale)
        let factor = Self.factor(width: width, height: height, enlargement: enlargement, limits: limits)
        func reduced(_ side: Int) -> Int { (side + factor - 1) / factor }
        let size = (width: reduced(width), height: reduced(height))
        let sums = factor > 1 ? try DarknessSums(count: size.width * size.height * 3, factor: factor) : nil
        let image = try PixelBuffer(
            width: size.width, height: size.height, dpi: dpi.map { $0 / Double(factor * scale) }, limits: limits)
        if factor == 1 { memset(image.bytes, 255, image.byteCount) }
        self.width = width
        self.height = height
        self.factor = factor
        self.sums = sums
        self.scale = scale
        original = (fullWidth, fullHeight)
        self.image = image
    }

    /// A row of RGB triples, or `count` pixels of it from a column on.
    func add(_ rgb: UnsafePointer<UInt8>, row y: Int, from column: Int = 0, count: Int? = nil) {
        guard y >= 0, y < height, column >= 0, column < width else { return }
        let count = min(count ?? width, width - column)
        guard let sums else {
            image.row(y).advanced(by: column * 3).update(from: rgb, count: count * 3)
            return
        }
        let target = y / factor * image.width * 3
        var place = target + column / factor * 3
        var left = factor - column % factor
        var (red, green, blue) = (0, 0, 0)
        for x in 0..<count {
            red += 255 - Int(rgb[x * 3])
            green += 255 - Int(rgb[x * 3 + 1])
            blue += 255 - Int(rgb[x * 3 + 2])
            left -= 1
            guard left == 0 || x == count - 1 else { continue }
            sums.add(red, green, blue, at: place)
            (red, green, blue) = (0, 0, 0)
            place += 3
            left = factor
        }
    }

    /// Takes rows back that turn out to be made up; of a reduced picture they cannot be told apart any more.
    func whiten(_ rows: Range<Int>) {
        guard sums == nil else { return }
        memset(image.row(rows.lowerBound), 255, rows.count * width * 3)
    }

    /// The page, and a note where it is reduced.
    consuming func finish(_ notes: PageNotes, limits: RenderLimits) -> PixelBuffer {
        if let sums {
            for y in 0..<image.height {
                let tall = min(factor, height - y * factor)
                let row = image.row(y)
                for x in 0..<image.width {
                    let count = tall * min(factor, width - x * factor)
                    for channel in 0..<3 {
                        let sum = sums[(y * image.width + x) * 3 + channel]
                        row[x * 3 + channel] = UInt8(255 - (sum + count / 2) / count)
                    }
                }
            }
        }
        if factor * scale > 1 {
            notes.add(
                .pictureReduced,
                "The picture of \(original.width) x \(original.height) pixels is read at 1/\(factor * scale) of its size on each side, to stay within "
                    + "\(limits.pixelsSetting).")
        }
        return image
    }
}

/// Sums of darkness (255 - value) over squares of pixels.
private final class DarknessSums {
    /// Two bytes hold the sums of squares of up to 16 x 16 pixels; larger ones, of pictures far beyond any, take four.
    private let small: UnsafeMutablePointer<UInt16>?
    private let large: UnsafeMutablePointer<UInt32>?

    init(count: Int, factor: Int) throws(RenderError) {
        let isSmall = factor <= 16
        guard let memory = calloc(count, isSmall ? 2 : 4) else {
            throw RenderError(
                .tooLarge, "The picture does not fit into memory: raise --render-memory, or scale it down.")
        }
        small = isSmall ? memory.assumingMemoryBound(to: UInt16.self) : nil
        large = isSmall ? nil : memory.assumingMemoryBound(to: UInt32.self)
    }

    deinit {
        free(small)
        free(large)
    }

    func add(_ red: Int, _ green: Int, _ blue: Int, at place: Int) {
        if let small {
            small[place] &+= UInt16(truncatingIfNeeded: red)
            small[place + 1] &+= UInt16(truncatingIfNeeded: green)
            small[place + 2] &+= UInt16(truncatingIfNeeded: blue)
        } else if let large {
            large[place] &+= UInt32(truncatingIfNeeded: red)
            large[place + 1] &+= UInt32(truncatingIfNeeded: green)
            large[place + 2] &+= UInt32(truncatingIfNeeded: blue)
        }
    }

    subscript(place: Int) -> Int {
        if let small { Int(small[place]) } else if let large { Int(large[place]) } else { 0 }
    }
}
