private import Glibc

/// A matrix of f32 in host memory, copied when written while shared.
package struct CPUTensor: BackendTensor {
    package let rows: Int
    package let columns: Int
    private var buffer: FloatBuffer

    /// A matrix whose elements `fill` writes, all of them.
    init(rows: Int, columns: Int, fill: (UnsafeMutablePointer<Float>) -> Void) {
        self.rows = rows
        self.columns = columns
        buffer = FloatBuffer(count: rows * columns)
        buffer.withMutable(fill)
    }

    private init(rows: Int, columns: Int, buffer: FloatBuffer) {
        self.rows = rows
        self.columns = columns
        self.buffer = buffer
    }

    var count: Int { rows * columns }

    /// The same elements under another shape.
    func reshaped(rows: Int, columns: Int) -> CPUTensor {
        precondition(rows * columns == count, "a reshape keeps the number of elements")
        return CPUTensor(rows: rows, columns: columns, buffer: buffer)
    }

    func read<R>(_ body: (UnsafePointer<Float>) -> R) -> R { buffer.withMutable { body(UnsafePointer($0)) } }

    mutating func write<R>(_ body: (UnsafeMutablePointer<Float>) -> R) -> R {
        if !isKnownUniquelyReferenced(&buffer) {
            let copy = FloatBuffer(count: count)
            let size = count * MemoryLayout<Float>.stride
            copy.withMutable { to in buffer.withMutable { from in _ = memcpy(to, from, size) } }
            buffer = copy
        }
        return buffer.withMutable(body)
    }
}
