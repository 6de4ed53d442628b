private import Glibc
import Rendering

/// A page's RGB bytes in memory of its own: `height` rows of `width` triples, no padding.
struct PixelBuffer: ~Copyable {
    let width: Int
    let height: Int
    /// Dots an inch; nil where unknown.
    var dpi: Double?
    let bytes: UnsafeMutablePointer<UInt8>

    var byteCount: Int { width * height * 3 }

    /// Zeroed (black) pixels; throws where the size is beyond the limit or memory does not suffice.
    init(width: Int, height: Int, dpi: Double?, limits: RenderLimits) throws(RenderError) {
        try Self.check(width: width, height: height, limits: limits)
        guard let memory = calloc(width * height, 3) else { throw Self.outOfMemory(width, height) }
        self.width = width
        self.height = height
        self.dpi = dpi
        bytes = memory.assumingMemoryBound(to: UInt8.self)
    }

    deinit { free(bytes) }

    /// Throws unless an image of this size may be made; everything that allocates by a file's numbers asks here first.
    static func check(width: Int, height: Int, limits: RenderLimits) throws(RenderError) {
        guard width > 0, height > 0 else {
            throw RenderError(.damaged, "The image is \(width) x \(height) pixels: it has no area.")
        }
        let (pixels, overflow) = width.multipliedReportingOverflow(by: height)
        // Below 2^31 a side and 2^40 in all, no later product of sizes overflows.
        guard !overflow, pixels <= limits.maxPixels, pixels < 1 << 40 else {
            throw RenderError(
                .tooLarge,
                "The image is \(width) x \(height) pixels, more than the limit of \(limits.maxPixels) "
                    + "pixels: raise --max-pixels, or scale it down.")
        }
    }

    static func outOfMemory(_ width: Int, _ height: Int) -> RenderError {
        RenderError(
            .tooLarge,
            "The image of \(width) x \(height) pixels does not fit into the memory limit: raise "
                + "--render-memory, or scale the image down.")
    }

    /// The start of a row.
    func row(_ y: Int) -> UnsafeMutablePointer<UInt8> { bytes + y * width * 3 }

    /// The image turned upright by an EXIF or TIFF orientation, 1 to 8; other values leave it as it is.
    consuming func upright(_ orientation: Int, limits: RenderLimits) throws(RenderError) -> PixelBuffer {
        guard (2...8).contains(orientation) else { return self }
        let swaps = orientation >= 5
        let (w, h) = (width, height)
        let turned = try PixelBuffer(width: swaps ? h : w, height: swaps ? w : h, dpi: dpi, limits: limits)
        for y in 0..<turned.height {
            // Where the row's first pixel comes from, and the way from each to the next, in pixels.
            let (start, step) =
                switch orientation {
                case 2: (y * w + w - 1, -1)
                case 3: ((h - 1 - y) * w + w - 1, -1)
                case 4: ((h - 1 - y) * w, 1)
                case 5: (y, w)
                case 6: ((h - 1) * w + y, -w)
                case 7: ((h - 1) * w + w - 1 - y, -w)
                default: (w - 1 - y, w)
                }
            var source = bytes + start * 3
            var target = turned.row(y)
            for _ in 0..<turned.width {
                (target[0], target[1], target[2]) = (source[0], source[1], source[2])
                target += 3
                source += step * 3
            }
        }
        return turned
    }
}
