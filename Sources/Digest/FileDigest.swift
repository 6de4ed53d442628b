package import SystemPackage

extension SHA256 {
    /// The digest of what `read` fills buffers with, from offset 0 until it fills none.
    package static func hash<Failure: Error>(
        reading read: (UnsafeMutableRawBufferPointer, Int64) throws(Failure) -> Int
    ) throws(Failure) -> SHA256Digest {
        var hash = SHA256()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
        defer { buffer.deallocate() }
        var offset: Int64 = 0
        while true {
            let count = try read(buffer, offset)
            if count == 0 { return hash.finalize() }
            hash.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            offset += Int64(count)
        }
    }

    /// The digest of a file's content, read in 1 MiB pieces.
    ///
    /// Blocks.
    package static func hash(contentsOf path: FilePath) throws(Errno) -> SHA256Digest {
        let file: FileDescriptor
        do {
            file = try FileDescriptor.open(path, .readOnly, options: .closeOnExec)
        } catch {
            throw error as? Errno ?? .ioError
        }
        defer { try? file.close() }
        var hash = SHA256()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
        defer { buffer.deallocate() }
        while true {
            let count: Int
            do {
                count = try file.read(into: buffer)
            } catch {
                throw error as? Errno ?? .ioError
            }
            if count == 0 { return hash.finalize() }
            hash.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }
}
