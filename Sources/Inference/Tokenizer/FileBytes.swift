package import SystemPackage

/// Whole files of a model directory in memory.
package enum FileBytes {
    /// The largest text file that is read: a vocabulary of 128 000 tokens takes 5 to 10 MB.
    private static let limit = 1 << 30

    /// The bytes of a file.
    ///
    /// - Throws: `unreadableFile` with the system's reason, also for a file of more than 1 GiB.
    package static func read(_ path: FilePath) throws(InferenceError) -> [UInt8] {
        do {
            let file = try FileDescriptor.open(path, .readOnly)
            return try file.closeAfter {
                let size = Int(try file.seek(offset: 0, from: .end))
                try file.seek(offset: 0, from: .start)
                guard size <= limit else { throw InferenceError.unreadableFile(path, reason: "it has \(size) bytes") }
                return try [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
                    while count < size {
                        let rest = UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: buffer[count...]))
                        let read = try file.read(into: rest)
                        guard read > 0 else { break }
                        count += read
                    }
                }
            }
        } catch let error as InferenceError {
            throw error
        } catch {
            throw .unreadableFile(path, reason: "\(error)")
        }
    }
}
