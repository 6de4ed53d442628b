import SystemPackage

/// Small images and documents that the tests of rendering have, too.
enum ImageFixture {
    private static let folder = FilePath(#filePath).removingLastComponent().removingLastComponent()
        .appending("RenderingTests/Fixtures")

    static func bytes(_ name: String) throws -> [UInt8] {
        let file = try FileDescriptor.open(folder.appending(name), .readOnly)
        return try file.closeAfter {
            var buffer = [UInt8](repeating: 0, count: 1 << 20)
            let count = try buffer.withUnsafeMutableBytes { try file.read(into: $0) }
            return Array(buffer.prefix(count))
        }
    }
}
