private import CCrypto
internal import Digest
internal import SystemPackage

/// The digests of one file that a listing or a manifest may name.
struct ContentDigest: Sendable, Equatable {
    /// 64 hexadecimal digits.
    let sha256: String
    /// Git's SHA-1 of `blob SIZE`, NUL and the content; 40 hexadecimal digits.
    let gitBlob: String
    let size: Int64

    /// Reads a file once, in 1 MiB pieces.
    ///
    /// Blocks.
    /// - Throws: `unusableFile`.
    init(contentsOf path: FilePath, gitBlob wantsGitBlob: Bool) throws(ModelStoreError) {
        do {
            let file = try FileDescriptor.open(path, .readOnly, options: .closeOnExec)
            defer { try? file.close() }
            size = try file.seek(offset: 0, from: .end)
            try file.seek(offset: 0, from: .start)
            var sha256 = SHA256()
            let sha1 = wantsGitBlob ? GitBlobHash(size: size) : nil
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
            defer { buffer.deallocate() }
            while case let count = try file.read(into: buffer), count > 0 {
                let piece = UnsafeRawBufferPointer(rebasing: buffer[..<count])
                sha256.update(piece)
                sha1?.update(piece)
            }
            self.sha256 = sha256.finalize().hex
            gitBlob = sha1?.finalize() ?? ""
        } catch {
            throw .unusableFile(path, reason: "it cannot be read: \(error)")
        }
    }

    /// The digest of the kind that a listing gives.
    func matching(_ digest: RemoteFile.Digest) -> String {
        switch digest {
        case .sha256: sha256
        case .gitBlob: gitBlob
        }
    }
}

/// Incremental SHA-1 of a git blob, by OpenSSL's libcrypto.
///
/// SHA-1 is broken against forgers; here it only tells damage in small text files from none, as git does.
private struct GitBlobHash: ~Copyable {
    private let context: OpaquePointer

    init(size: Int64) {
        guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, EVP_sha1(), nil) == 1 else {
            fatalError("libcrypto cannot allocate a SHA-1 context")
        }
        self.context = context
        Array("blob \(size)\0".utf8).withUnsafeBytes { update($0) }
    }

    deinit { EVP_MD_CTX_free(context) }

    func update(_ bytes: UnsafeRawBufferPointer) { EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) }

    func finalize() -> String {
        var bytes = [UInt8](repeating: 0, count: 20)
        EVP_DigestFinal_ex(context, &bytes, nil)
        return bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
