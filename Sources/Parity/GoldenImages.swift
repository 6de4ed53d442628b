package import Inference
private import Rendering
private import SystemPackage

/// The folder's images, decoded by `quire-render`; why not, where one cannot be.
package struct GoldenImages: Sendable {
    private let images: [String: Result<RGBImage, ParityError>]

    /// Decodes every image of the folder.
    package init(_ folder: GoldenFolder) async {
        var images: [String: Result<RGBImage, ParityError>] = [:]
        for name in folder.images {
            let path = folder.path.appending("images").appending("\(name).png")
            images[name] = await Self.decoded(path)
        }
        self.images = images
    }

    /// The image of this name, which may come as a path such as `images/NAME.png`.
    package func image(_ name: String) throws(ParityError) -> RGBImage {
        let file = FilePath(name).lastComponent?.stem ?? name
        guard let image = images[file] else { throw ParityError("there is no images/\(file).png") }
        return try image.get()
    }

    /// The names, sorted.
    package var names: [String] { images.keys.sorted() }

    private static func decoded(_ path: FilePath) async -> Result<RGBImage, ParityError> {
        do {
            var limits = RenderLimits()
            limits.dropsAlpha = true
            let session = try PageRenderer.besideThisProgram(limits: limits).session(path, pages: 1...1)
            guard let page = await session.next() else { return .failure(ParityError("\(path) has no picture")) }
            let image = try page.result.get()
            return .success(RGBImage(width: image.width, height: image.height, bytes: image.bytes))
        } catch {
            return .failure(ParityError("\(path) cannot be decoded: \(error)"))
        }
    }
}
