internal import Digest
private import Dispatch
package import Rendering
package import Shared
package import SystemPackage

/// Looks into one file: what it is, its digest and its pages.
package struct DocumentSource: Sendable {
    private let inspector: DocumentInspector

    package init(renderer: PageRenderer) { inspector = DocumentInspector(renderer) }

    /// Endings of files that are meant to be documents: such a file that is none is reported, not passed over.
    private static let endings: Set<String> = ["pdf", "tif", "tiff", "png", "jpg", "jpeg", "jpe"]

    /// What submitting stores about the file; never throws: whatever is wrong is the finding.
    package func finding(_ path: FilePath) async -> ScannedFile.Finding {
        let isMeant = Self.endings.contains(path.extension?.lowercased() ?? "")
        let first: [UInt8]
        let sha256: SHA256Digest
        do {
            (first, sha256) = try await Self.read(path)
        } catch {
            return .unreadable(reason: "The file cannot be read: \(error). Check its permissions and its disk.")
        }
        let kind = DocumentKind.sniff(first)
        guard case .readable = kind else {
            let reason = kind.reason ?? "This is no document that Quire reads."
            return isMeant ? .unreadable(reason: reason) : .ignored(reason: reason)
        }
        do throws(RenderError) {
            let summary = try await inspector.inspect(path)
            guard let format = DocumentFormat(rawValue: summary.format.rawValue) else {
                return .unreadable(reason: "quire-render took it for a format that this program does not know.")
            }
            return .document(sha256: sha256, format: format, pageCount: summary.pageCount)
        } catch {
            return .unreadable(reason: error.message)
        }
    }

    /// The first bytes and the digest of a file, read on a thread that may block.
    private static func read(_ path: FilePath) async throws(Errno) -> (first: [UInt8], sha256: SHA256Digest) {
        let result: Result<([UInt8], SHA256Digest), Errno> = await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(
                    returning: Result { () throws(Errno) in
                        (try firstBytes(of: path), try SHA256.hash(contentsOf: path))
                    })
            }
        }
        return try result.get()
    }

    private static func firstBytes(of path: FilePath) throws(Errno) -> [UInt8] {
        do {
            let file = try FileDescriptor.open(path, .readOnly, options: .closeOnExec)
            return try file.closeAfter {
                try [UInt8](unsafeUninitializedCapacity: DocumentKind.sniffedBytes) { buffer, count in
                    count = try file.read(into: UnsafeMutableRawBufferPointer(buffer))
                }
            }
        } catch {
            throw error as? Errno ?? .ioError
        }
    }
}
