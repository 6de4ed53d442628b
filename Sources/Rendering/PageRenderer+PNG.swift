private import Glibc

extension PageRenderer {
    /// More than the pixels themselves take, and what PNG adds to each row and to the file.
    private static func longestPNG(_ image: PageImage) -> Int { image.bytes.count + image.height * 16 + 1 << 20 }

    /// A PNG file of a page image, pixel for pixel.
    package func encodePNG(_ image: PageImage) async throws(RenderError) -> [UInt8] {
        guard image.width > 0, image.height > 0, image.width <= limits.maxPixels / image.height,
            image.bytes.count == image.width * image.height * 3
        else {
            throw RenderError(
                .tooLarge,
                "The page's image is \(image.width) x \(image.height) pixels, which is beyond \(limits.pixelsSetting) or "
                    + "does not match its bytes.")
        }
        let order = CropOrder(width: image.width, height: image.height, quality: 100, boxes: [])
        return try await Self.blocking { () throws(RenderError) in
            let input = try Descriptor.memoryFile()
            try input.write(order.bytes)
            try input.write(image.bytes)
            let request = RenderRequest(.png, limits: limits, parent: getpid())
            let child = try RenderChild(executable, request, input: input, password: try .null())
            let message = try child.next { $0.number == 0 ? 1...Self.longestPNG(image) : nil }
            guard message.header.status == .image else { throw child.error(of: message) }
            return message.payload
        }
    }
}
