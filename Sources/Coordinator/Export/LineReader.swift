internal import SystemPackage

/// The lines of a file, one after the other.
final class LineReader {
    private let file: FileDescriptor
    private var buffer: [UInt8] = []
    private var position = 0
    private var isAtEnd = false

    /// Bytes that one line may have.
    private static let longest = 1 << 20

    /// Nil if the file cannot be read.
    init?(_ path: FilePath) {
        guard let file = try? FileDescriptor.open(path, .readOnly, options: [.closeOnExec, .noFollow, .nonBlocking])
        else {
            return nil
        }
        self.file = file
    }

    deinit { try? file.close() }

    /// The next line without its end; nil at the end of the file, or where a line is longer than any that Quire writes.
    func next() -> ArraySlice<UInt8>? {
        var searched = position
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { position = end + 1 }
                return buffer[position..<end]
            }
            searched = buffer.count
            if isAtEnd || buffer.count - position > Self.longest {
                defer { position = buffer.count }
                return position < buffer.count && isAtEnd ? buffer[position...] : nil
            }
            searched -= position
            buffer.removeSubrange(..<position)
            position = 0
            var piece = [UInt8](repeating: 0, count: 1 << 16)
            let count = (try? piece.withUnsafeMutableBytes { try file.read(into: $0) }) ?? 0
            isAtEnd = count == 0
            buffer += piece.prefix(count)
        }
    }
}
