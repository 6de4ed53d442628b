private import CTIFF
private import Glibc

/// A strip's or tile's bytes as the file has them, up to its end.
final class TIFFRaw {
    private let bytes: UnsafeMutableRawPointer
    private let count: Int

    /// Nil where the file has none of them, or memory does not suffice.
    init?(_ handle: OpaquePointer, _ source: TIFFSource, _ index: UInt32) {
        guard let start = Int(exactly: TIFFGetStrileOffset(handle, index)), start > 0, start < source.input.size else {
            return nil
        }
        let wanted = Int(clamping: TIFFGetStrileByteCount(handle, index))
        let count = min(wanted, source.input.size - start)
        guard count > 0, let memory = malloc(count) else { return nil }
        bytes = memory
        self.count = source.input.read(into: UnsafeMutableRawBufferPointer(start: memory, count: count), at: start)
    }

    deinit { free(bytes) }

    /// Whether the file ends before the strip does.
    static func isCut(_ handle: OpaquePointer, _ source: TIFFSource, _ index: UInt32) -> Bool {
        let end = TIFFGetStrileOffset(handle, index).addingReportingOverflow(TIFFGetStrileByteCount(handle, index))
        return end.overflow || end.partialValue > UInt64(source.input.size)
    }

    /// Decodes from the start; fax decoders answer true however far they came.
    func decode(_ handle: OpaquePointer, _ index: UInt32, into target: UnsafeMutablePointer<UInt8>, bytes size: Int)
        -> Bool
    {
        TIFFReadFromUserBuffer(handle, index, bytes, tmsize_t(count), target, tmsize_t(size)) == 1
    }
}
